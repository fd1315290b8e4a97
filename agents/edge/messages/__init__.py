"""ISO 20022 messages as banks send them, valid and not: a function of a seed and an index."""
