"""Which records are one person, and which value of each field survives."""
