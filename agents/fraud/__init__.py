"""Fraud: event-time windows per account, a score that explains itself, and what shards tell each other about payees."""
