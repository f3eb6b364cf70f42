"""From landed values to typed canonical fields."""
