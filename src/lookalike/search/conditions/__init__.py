"""Conditions: SQL is parsed by sqlglot, compiled to steps, and computed by Arrow."""
