"""The command line: one module per command group; `render/` prints what they return."""
