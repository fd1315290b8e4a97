"""Messages between us and participants over HTTP: how either side posts them, takes them in, and forgets none."""
