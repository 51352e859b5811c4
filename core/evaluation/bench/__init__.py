"""How fast this machine computes single kernels, forwards and renders (``pirouette bench``)."""
