"""Labels, examples and clicks become a better model."""
