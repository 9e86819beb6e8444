"""One module a command: SUMMARY, EXAMPLE, `add_arguments(parser)` and `run(options)`, its exit code.

All of them are imported for the help, so each imports what is heavy when it runs.
"""
