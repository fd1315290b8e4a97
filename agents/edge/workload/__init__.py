"""The simulated customers: a stream of payment orders that is a function of a seed and an index."""
