"""What the events, the messages and the schemes are: types and data, and nothing that runs."""
