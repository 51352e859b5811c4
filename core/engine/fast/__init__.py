"""The fast path: which kernels this machine has, which are fastest here, and the transformer built on them."""
