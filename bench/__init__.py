"""How fast it is, and where the time goes.  Timings live here and never in the verdict of a test."""
