"""The logs that the engine runs on, one contract for all: in memory, embedded in a folder, and Kinesis."""
