"""The fast path: which kernels this machine has, which are fastest, and a transformer built on them."""
