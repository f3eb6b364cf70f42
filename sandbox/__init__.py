"""Both CRMs on loopback: the real HTTP contracts, a seeded world, injectable faults."""
