"""Triton kernels. Imported only where ``triton_support.usable`` says so: Triton may be missing."""
