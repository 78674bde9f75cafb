"""Engines run networks on batches of pictures; they know neither videos nor sessions."""
