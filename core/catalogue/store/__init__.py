"""The store: what of the catalogue is on this machine; getting, checking, moving and removing it."""

from core.catalogue.store.store import AssetState, FileState, Store, open_store

__all__ = ["AssetState", "FileState", "Store", "open_store"]
