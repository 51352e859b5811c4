"""What every acceleration costs in accuracy: on the embedded model, on a block of the 14B model's shape."""
