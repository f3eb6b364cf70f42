"""Decides: pure functions from landed tables, YAML and `as_of` to a plan. No effect lives here."""
