"""One file from the hub onto the disk, without ever losing a byte.

Nothing is imported here: whoever only needs the lock should not wait for what speaks HTTP.
"""
