"""
A token bucket: so many at once, so many a second in the long run.

The bucket is a list of two numbers, the tokens left and the time they were counted, so that it fits into a
session.
"""


def take(bucket, now, size, per_second):
    """Take one token at the time ``now``. Return the new bucket, or None when it is empty."""
    tokens, counted = bucket or (size, now)
    tokens = min(size, tokens + max(0, now - counted) * per_second)
    if tokens < 1:
        return None
    return [tokens - 1, now]
