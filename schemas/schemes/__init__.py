"""Scheme profiles: what a scheme demands, as data.  A new scheme is a new file of data."""
