"""The command line: a command parses, calls one function and shows the result.

Promises: every command has `--json`, whose last line on standard output is one object; errors go to standard error
as one line and end with exit code 2 (wrong input) or 1 (failure); the environment is read here, once.
"""

from flyball.cli.main import app, main

__all__ = ["app", "main"]
