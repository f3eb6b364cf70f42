"""A definition tried on the history, for backtests and comparisons."""
