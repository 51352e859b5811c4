"""Attention behind one signature: the kinds that a plan names, and the kernels that compute them."""
