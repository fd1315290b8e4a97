"""What it costs: figures, measured here and now, in one run; never a test's verdict."""
