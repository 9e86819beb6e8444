"""Conditions: sqlglot parses the SQL, which is compiled to steps that Arrow computes."""
