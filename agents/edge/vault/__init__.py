"""What no stream may hold: account numbers behind their tokens, and what a message says beside its event."""
