"""Score, stage and status of every person, computed from one definition."""
