"""Reading recorded streams again: to verify what the live system did, to re-drive, to reconcile."""
