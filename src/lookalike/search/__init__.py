"""A query in, the nearest items out."""
