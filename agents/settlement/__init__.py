"""The clearing and settlement mechanism: reserve, forward, let the clock decide, post or release, net."""
