"""From single latencies to what is reported of them."""


def percentiles(latencies_ns):
    """Return the median, the 99th percentile and the maximum in microseconds; nothing of nothing."""
    if not latencies_ns:
        return {}
    ordered = sorted(latencies_ns)

    def at(share):
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1000, 1)

    return {"p50_us": at(0.50), "p99_us": at(0.99), "max_us": round(ordered[-1] / 1000, 1)}


def longest_us(round_trips, began, ended):
    """Return the longest of the round trips that fall into some time, in microseconds; None without any."""
    # The first one may have begun shortly before.
    during = [took for start, took in round_trips if start + took > began and start < ended]
    return round(max(during) / 1000, 1) if during else None
