"""The middle of the window: pictures and clips, and the controls that move them."""
