"""What a row lets pass, and what it does not: figures that look well at a glance and hide that something is broken."""

import pytest

from score.rows import ROWS
from score.table import Outcome

GOOD = {
    "S-01": {
        "dropped_sockets": 0,
        "failed_stops": 0,
        "sockets": 200,
        "restarts": 20,
        "per_second": 990.0,
        "sent": 20_000,
        "wanted": 18_000,
    },
    "S-02": {"lost": 0, "sent": 2000, "wanted": 200},
    "S-03": {"repeated": 0, "disordered": 0, "sent": 2000, "wanted": 200},
    "S-04": {
        "most_per_kill": 2,
        "lost": 50,
        "unfinished": 50,
        "kills": 100,
        "threads": 2,
        "repeated": 0,
        "dropped_sockets": 0,
        "sent": 5000,
        "wanted": 1000,
    },
    "S-05": {
        "undelivered_share": 0,
        "delivered_percent": 100.0,
        "repeated": 0,
        "due": 500_000,
        "per_second": 1000.0,
        "top_rate": 1250.0,
        "sent": 50_000,
        "wanted": 5000,
    },
    "S-06": {
        "unexplained": 0,
        "surplus": 0,
        "ledgers": 4,
        "sent": 10_000,
        "lost": 50,
        "reasons": "50 unfinished by killed workers",
    },
    "S-08": {"zombies": 0, "cut_sockets": 0, "ended_processes": 0, "dropped_sockets": 0, "sockets": 200},
    "S-09": {
        **{"recovery_from_cut": 1.1, "recovery_from_restart": 3.2},
        **{"dropped_sockets": 0, "ended_processes": 0, "sockets": 200},
    },
    "S-10": {"kills": 200, "ends": 204, "sent": 3000, "repeated": 0, "lost": 20, "unfinished": 21, "slowest": 0.2},
    "S-12": {"daphne": 25.0, "uvicorn": 25.0, "sockets": 2000},
    "S-14": {
        "rise": 0.5,
        "sent_mb": 60.0,
        "code": 1013,
        "talker_rise": 0.5,
        "talker_mb": 60.0,
        "talker_code": 1013,
    },
    "S-15": {"rise": 0.5, "written": 3000, "frames": 40_000, "seconds": 30.0, "end": "throttled"},
    "S-16": {
        "ratio": 1.0,
        "p99_plain": 10.0,
        "p99_stalled": 10.0,
        "not_reading": 25,
        "stalled": 25,
        "closed_1013": 25,
        "dropped_readers": 0,
    },
    "S-22": {
        "crashes": 0,
        "hangs": 0,
        "unplanned_5xx": 0,
        "server_tracebacks": 0,
        "http": 10_000,
        "websocket": 10_000,
        "envelopes": 10_000,
    },
    "S-24": {"clean": 100, "stops": 100, "slowest": 0.2, "lost": 0, "repeated": 0, "sent": 5000, "wanted": 1000},
    "S-26": {"worker_seconds": 0.1, "interface_seconds": 0.1, "failed_workers": 0, "status": 0, "sockets": 500},
    "S-33": {
        "members": 4000,
        "uvicorn_pause": 20.0,
        "uvicorn_work": 20.0,
        "uvicorn_closed": 0,
        "uvicorn_incomplete": 0,
        "uvicorn_seconds": 12.0,
        "daphne_pause": 20.0,
        "daphne_work": 20.0,
        "daphne_closed": 0,
        "daphne_incomplete": 0,
        "daphne_seconds": 25.0,
    },
    "S-35": {
        "cost_ms": 4.0,
        "costs": "Redis, daphne +4 ms",
        "missing": 0,
        "echoes": 9600,
        "sockets": 100,
        "frames": 100_000,
        "wanted": 12_000,
    },
    "S-36": {
        "silent": 0,
        "kills": 30,
        "sockets": 200,
        "dropped_sockets": 20,
        "closed_otherwise": 0,
        "unfinished": 20,
        "unexplained": 0,
        "lost": 25,
        "repeated": 0,
        "disordered": 0,
        "sent": 2000,
        "wanted": 300,
    },
    "S-37": {
        "lost": 200,
        "in_hand": 200,
        "kills": 100,
        "repeated": 0,
        "dropped_sockets": 0,
        "sent": 5000,
        "wanted": 1000,
    },
}
BAD = [
    ("S-01", {"dropped_sockets": 1}),
    ("S-01", {"sent": 9000}),
    ("S-02", {"sent": 0}),
    ("S-03", {"sent": 0}),
    ("S-04", {"lost": 200, "unfinished": 50}),
    ("S-04", {"lost": 50, "unfinished": 200}),
    ("S-04", {"most_per_kill": 3}),
    ("S-04", {"sent": 1}),
    ("S-05", {"sent": 1}),
    ("S-06", {"surplus": 10}),
    ("S-08", {"dropped_sockets": 200, "cut_sockets": 200}),
    ("S-09", {"recovery_from_cut": 5.1}),
    ("S-09", {"recovery_from_restart": 15.1}),
    ("S-09", {"recovery_from_restart": None}),
    ("S-10", {"repeated": 1}),
    ("S-10", {"lost": 22}),
    ("S-10", {"unfinished": 205}),
    ("S-10", {"slowest": 1.1}),
    ("S-12", {"uvicorn": 400.0}),
    ("S-14", {"code": None}),
    ("S-14", {"talker_code": None}),
    ("S-14", {"talker_rise": 300.0}),
    ("S-15", {"written": 3, "end": None}),
    ("S-15", {"end": "stuck"}),
    ("S-15", {"end": 1006}),
    ("S-16", {"closed_1013": 0}),
    ("S-16", {"stalled": 0}),
    ("S-22", {"server_tracebacks": 1}),
    ("S-24", {"sent": 0}),
    ("S-26", {"status": -11}),
    ("S-26", {"failed_workers": 1}),
    ("S-33", {"daphne_pause": 5000.0}),
    ("S-33", {"uvicorn_incomplete": 1}),
    ("S-33", {"daphne_closed": 4000}),
    ("S-35", {"cost_ms": 20.1}),
    ("S-35", {"frames": 0}),
    ("S-35", {"missing": 1}),
    ("S-36", {"silent": 1}),
    ("S-36", {"dropped_sockets": 21}),
    ("S-36", {"closed_otherwise": 1}),
    ("S-36", {"unexplained": 1}),
    ("S-37", {"lost": 201}),
    ("S-37", {"repeated": 1}),
    ("S-37", {"dropped_sockets": 1}),
    ("S-37", {"sent": 1}),
]


ACCEPTED = [
    ("S-08", {"dropped_sockets": 200}),
    ("S-14", {"code": 1008}),
    ("S-15", {"end": 1013}),
]


def outcome(id, figures):
    return Outcome(next(row for row in ROWS if row.id == id), figures)


@pytest.mark.parametrize("id", GOOD)
def test_good_figures_pass_and_are_put_into_words(id):
    assert outcome(id, GOOD[id]).verdict == "pass"
    assert outcome(id, GOOD[id]).result


@pytest.mark.parametrize(("id", "bad"), BAD, ids=str)
def test_a_row_fails_by_a_single_bad_figure(id, bad):
    assert outcome(id, GOOD[id] | bad).verdict == "fail"


@pytest.mark.parametrize(("id", "other"), ACCEPTED, ids=str)
def test_a_row_accepts_what_its_target_allows_too(id, other):
    assert outcome(id, GOOD[id] | other).verdict == "pass"


@pytest.mark.parametrize("id", GOOD)
def test_a_row_fails_without_its_figures(id):
    assert outcome(id, {}).verdict == "fail"
