"""Masks are collapsed to what the codec can use, de-duplicated, decoded in batches, and remembered."""
