"""Reading ranges of a stream again: to verify a run, to re-drive it, to compare two and to reconcile."""
