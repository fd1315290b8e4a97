"""What can be seen of a running process: metrics, health, logs."""
