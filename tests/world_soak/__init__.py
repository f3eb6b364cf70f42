"""Whole runs over weeks of simulated days: `make soak-world`."""
