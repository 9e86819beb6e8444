"""Samples in, committed parts out. The function is `lookalike.build`, so the room has another name."""
