"""Fused operations of the fast path: each has a plain torch form and a Triton kernel that equals it."""
