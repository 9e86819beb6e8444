# The handful of commands that people use. `just --list` shows them.

# format, lint, types, tests
check: lint test

lint:
    ruff format --check .
    ruff check .
    mypy

format:
    ruff format .
    ruff check --fix .

test *arguments:
    pytest {{arguments}}

# the default suite and all that have a mark: browser, S3, processes, long ones, other libraries
test-all:
    pytest -m 'slow or not slow'

demo:
    lookalike demo

benchmark:
    python benchmarks/embed.py

# make the shipped model file again, and compare it with the one in the package
model:
    python tools/build_model.py --check
