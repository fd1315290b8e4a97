"""The pure part of the engine: no I/O, no clock, no randomness.  What happens here is a function of the log."""
