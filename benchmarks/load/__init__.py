"""The load generator: one process, picows on uvloop. It runs in an environment of its own."""
