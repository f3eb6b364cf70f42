"""The command line: a module per group of commands; `render/` prints what they return.

A command imports what it needs inside its function. So `--help` and a wrong option answer at once,
and no command waits for the libraries of another. tests/cli/test_startup.py holds this.
"""
