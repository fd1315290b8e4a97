"""The payment application: deterministic agents, and the edges where the world is."""
