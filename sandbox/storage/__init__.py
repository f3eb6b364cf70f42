"""Compressed storage of records and events."""
