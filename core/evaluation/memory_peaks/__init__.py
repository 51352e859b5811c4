"""Measured memory and time of the 14B model's parts on a GPU, at real shapes with random weights."""
