"""
What a layer of several hosts adds: the rest of it knows of one, and a layer of one never loads this.

Single-reader names lie on one host each, by consistent hashing, and process queues with all that belongs to them; an
ordinary channel is on all of them, for its readers read all.
"""
