"""The engine: streams, shards, records and state.  It does not know what a payment is."""
