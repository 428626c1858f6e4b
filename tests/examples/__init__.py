"""Three projects as they were written for Channels 1: only what Python and Django have changed since is changed."""
