"""The whole system on one machine: processes, a look at what they do, and a report that proves it."""
