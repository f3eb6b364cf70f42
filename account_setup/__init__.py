"""What an admin does before the first write: test the installation, set up the fields."""
