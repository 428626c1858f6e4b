"""Measures the engine next to its peers: see README.md. Needs nothing but Python's standard library."""
