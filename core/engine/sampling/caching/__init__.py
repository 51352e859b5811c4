"""Caches that leave out the transformer's blocks at steps where little changes."""
