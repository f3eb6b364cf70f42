"""Desired values minus observed values: the changes of a run."""
