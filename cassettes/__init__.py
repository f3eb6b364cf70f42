"""What CRMs answered, recorded without secrets and people, and played back without a network."""
