"""`python -m lookalike`, for where the command itself is not on the path."""

from lookalike.cli import entry

entry()
