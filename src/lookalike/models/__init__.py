"""Pixels and words to vectors, a file a kind of model."""
