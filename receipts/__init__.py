"""Why one person stands where they stand: the receipt, its evidence, what is missing."""
