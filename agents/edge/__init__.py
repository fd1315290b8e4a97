"""The processes around the stages: simulated customers, participants and central bank, and the projector."""
