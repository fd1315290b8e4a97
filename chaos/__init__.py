"""Seeded simulation, faults and an independent auditor: looking for the run that loses money."""
