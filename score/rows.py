"""The rows of the scorecard: what is measured, what it has to be, and who measures it."""

from .table import Limit, Row


def _none(*figures):
    return tuple(Limit(figure, "==", 0) for figure in figures)


def _refused(figure, *others):
    """Return the limit of how a client was told that it is too slow or too quick."""
    return Limit(figure, "in", (1013, 1008, *others))


# Where hardly anything was sent, nothing could be lost.
_ENOUGH = Limit("sent", ">=", "wanted")

ROWS = [
    Row(
        "S-01",
        "Sockets dropped in a rolling restart of 4 workers under 1,000 messages/s (sockets in order)",
        "0",
        "restarts.replace_workers",
        (*_none("dropped_sockets", "failed_stops"), _ENOUGH),
        "{dropped_sockets} of {sockets} in {restarts} restarts, {per_second:.0f} messages/s",
    ),
    Row(
        "S-02",
        "Messages lost in S-01",
        "0",
        "restarts.replace_workers",
        (*_none("lost"), _ENOUGH),
        "{lost} of {sent}",
    ),
    Row(
        "S-03",
        "Messages repeated or out of order in S-01",
        "0 / 0",
        "restarts.replace_workers",
        (*_none("repeated", "disordered"), _ENOUGH),
        "{repeated} / {disordered} deliveries",
    ),
    Row(
        "S-04",
        "Messages lost per kill -9 of a worker (4 workers, 2 threads each, sockets without order)",
        "at most its threads, all counted as unfinished; none repeated, no socket dropped",
        "restarts.kill_workers",
        (
            Limit("most_per_kill", "<=", "threads"),
            Limit("lost", "==", "unfinished"),
            *_none("repeated", "dropped_sockets"),
            _ENOUGH,
        ),
        "{most_per_kill} at most, {lost} in {kills} kills of {threads} threads, {unfinished} counted, of {sent}; "
        "{repeated} repeated, {dropped_sockets} sockets dropped",
    ),
    Row(
        "S-05",
        "Delivery in normal operation (100 sockets, 10 rooms, 80 % of the top rate)",
        "at least 99.99 %",
        "delivery.deliver",
        (Limit("undelivered_share", "<=", 0.0001), *_none("repeated"), _ENOUGH),
        "{delivered_percent:.4f} % of {due} deliveries at {per_second:.0f} messages/s (top {top_rate:.0f})",
    ),
    Row(
        "S-06",
        "Messages lost without a reason, or counted and not lost, in all rows that keep a ledger",
        "0 / 0",
        "accounts.sum_up",
        _none("unexplained", "surplus"),
        "{unexplained} / {surplus} of {sent} in {ledgers} ledgers; {lost} lost: {reasons}",
    ),
    Row(
        "S-07",
        "Recovery after a restart of Redis (data kept, 1 s down)",
        "below 2 s, same processes, 0 sockets dropped",
        "outages.restart_store",
        (Limit("recovery", "<", 2), *_none("dropped_sockets", "ended_processes")),
        "{recovery} s, {ended_processes} processes ended, {dropped_sockets} of {sockets} sockets dropped",
    ),
    Row(
        "S-08",
        "Silent zombies 10 s after the store lost its data (a socket may be closed with 1012 instead)",
        "0; none cut or closed otherwise",
        "outages.lose_store",
        _none("zombies", "cut_sockets", "ended_processes"),
        "{zombies} of {sockets} sockets; {dropped_sockets} were closed, {cut_sockets} of them without 1012, "
        "{ended_processes} processes ended",
    ),
    Row(
        "S-09",
        "Recovery after all connections to RabbitMQ were cut / a restart of the broker (1 s down)",
        "below 5 s / below 15 s, same processes, 0 sockets dropped",
        "outages.cut_and_restart_broker",
        (
            Limit("recovery_from_cut", "<", 5),
            Limit("recovery_from_restart", "<", 15),
            *_none("dropped_sockets", "ended_processes"),
        ),
        "{recovery_from_cut} s / {recovery_from_restart} s, {ended_processes} processes ended, "
        "{dropped_sockets} of 2 x {sockets} sockets dropped",
    ),
    Row(
        "S-10",
        "What 200 kill -9 do to four processes that send and read over the IPC layer without a pause",
        "nothing twice, at most one lost per kill, all counted; worst wait below 1 s",
        "kills.kill_processes",
        (
            *_none("repeated"),
            Limit("lost", "<=", "unfinished"),
            Limit("unfinished", "<=", "ends"),
            Limit("slowest", "<", 1),
        ),
        "{repeated} twice, {lost} lost, {unfinished} counted in {kills} kills, of {sent}; worst wait {slowest} s",
    ),
    Row(
        "S-11",
        "Growth of memory with the messages passed, each kind of process",
        "below 5 %",
        "memory.growth",
        tuple(Limit(f"{kind}_growth", "<", 5) for kind in ("interface", "worker", "single")),
        "interface {interface_growth:+.1f} %, worker {worker_growth:+.1f} % from {redis_from} to {redis_to} messages; "
        "one process {single_growth:+.1f} % from {single_from} to {single_to}",
    ),
    Row(
        "S-12",
        "Memory of the interface server per idle socket, without compression",
        "below 40 KiB",
        "memory.idle_sockets",
        (Limit("daphne", "<", 40), Limit("uvicorn", "<", 40)),
        "daphne {daphne:.1f} KiB, uvicorn {uvicorn:.1f} KiB, of {sockets} sockets",
    ),
    Row(
        "S-13",
        "Keys, files, threads and session rows left after two equal rounds of sockets, 10 at a time (expiry 5 s)",
        "0",
        "leftovers.two_rounds",
        _none("keys", "files", "threads", "rows"),
        "{keys} keys, {files} files, {threads} threads, {rows} rows after 2 x {sockets} sockets",
    ),
    Row(
        "S-14",
        "Rise of memory for a client that never reads: 60 MB of a room, or answers to 60 MB of its own (daphne)",
        "below 8 MB each, closed with 1013 or 1008",
        "slowness.never_read",
        (Limit("rise", "<", 8), Limit("talker_rise", "<", 8), _refused("code"), _refused("talker_code")),
        "{rise:.1f} MB while {sent_mb:.0f} MB were sent, closed with {code}; "
        "{talker_rise:.1f} MB while it sent {talker_mb:.0f} MB itself, closed with {talker_code}",
    ),
    Row(
        "S-15",
        "Rise of memory under a flood of 40,000 x 1 KiB into a slow consumer (daphne)",
        "below 8 MB; throttled while the consumer goes on, or closed with 1013 or 1008",
        "slowness.flood",
        (Limit("rise", "<", 8), _refused("end", "throttled")),
        "{rise:.1f} MB; {written} of {frames} frames left the client in {seconds:.0f} s; end: {end}",
    ),
    Row(
        "S-16",
        "p99 in a room of 200 with 5 stalled members, relative to the same room without",
        "at most 1.2 x, each stalled one closed with 1013",
        "slowness.stalled_members",
        (
            Limit("ratio", "<=", 1.2),
            Limit("stalled", "==", "not_reading"),
            Limit("closed_1013", "==", "not_reading"),
            *_none("dropped_readers"),
        ),
        "{ratio:.2f} x of the medians of turns ({p99_stalled:.0f} ms / {p99_plain:.0f} ms); "
        "{stalled} of {not_reading} stalled, {closed_1013} closed with 1013",
    ),
    Row(
        "S-17",
        "Close frames and disconnect consumers at a planned stop of the interface server",
        "100 % with 1012, all disconnects run",
        "ends.stop_interface",
        (Limit("closed_1012", "==", "sockets"), *_none("missing", "doubled", "status")),
        "{closed_1012} of {sockets} with 1012, {missing} disconnects missing, {doubled} doubled, in {stop_seconds} s",
    ),
    Row(
        "S-18",
        "Disconnect consumers after kill -9 of the interface server",
        "100 %, each once, in 15 s",
        "ends.kill_interface",
        (Limit("seconds_to_last", "<=", 15), *_none("missing", "doubled")),
        "{disconnects} of {sockets}, {doubled} doubled, the last after {seconds_to_last} s",
    ),
    Row("S-19", "Half-open sockets found", "in at most 35 s"),
    Row("S-20", "Error of presence at rest", "0 after 15 s clean, 45 s silent"),
    Row("S-21", "Failed Autobahn cases, of 247, through worker and layer", "0"),
    Row(
        "S-22",
        "Fuzz: HTTP, WebSocket, stored envelopes",
        "0 crashes, 0 unplanned 5xx, 0 hangs over 5 s, 0 tracebacks of the server",
        "fuzz.fuzz",
        _none("crashes", "unplanned_5xx", "hangs", "server_tracebacks"),
        "{crashes} crashes, {unplanned_5xx} unplanned 5xx, {hangs} hangs, {server_tracebacks} tracebacks in "
        "{http} HTTP, {websocket} WebSocket, {envelopes} envelopes",
    ),
    Row(
        "S-23",
        "Ordered sockets wedged after an exception in their consumer (20 messages each, 4 sockets at a time)",
        "0, all disconnects run",
        "ordering.fail_once",
        (Limit("disconnects", "==", "sockets"), *_none("wedged", "closed", "disordered")),
        "{wedged} of {sockets} wedged, {closed} closed, {disordered} out of order, {disconnects} disconnects",
    ),
    Row(
        "S-24",
        "SIGTERM to a worker under load: exit 0 and nothing lost (sockets without order)",
        "every stop; 0 lost, 0 repeated",
        "restarts.stop_workers",
        (Limit("clean", "==", "stops"), *_none("lost", "repeated"), _ENOUGH),
        "{clean} of {stops} with exit 0, the slowest in {slowest} s; {lost} lost, {repeated} repeated of {sent}",
    ),
    Row(
        "S-25",
        "Processor use while idle, per process",
        "below 1 %",
        "idle.use_while_idle",
        (Limit("interface", "<", 1), Limit("worker", "<", 1)),
        "interface {interface} %, worker {worker} % at most, in {seconds} s",
    ),
    Row(
        "S-26",
        "Time of a clean stop: idle worker / interface server (daphne) with open sockets",
        "below 1 s / below 10 s, exit 0",
        "ends.stop_times",
        # Another server may exit otherwise: uvicorn ends by the signal itself, with -15.
        (Limit("worker_seconds", "<", 1), Limit("interface_seconds", "<", 10), *_none("failed_workers", "status")),
        "{worker_seconds} s (worst of 3) / {interface_seconds} s with {sockets} sockets, exit {status}; "
        "{failed_workers} workers with another exit than 0",
    ),
    Row("S-27", "Reconnect storm of 1,000 sockets", "all in 60 s, at most 10 %/s, 0 failed log-ins"),
    Row("S-28", "Sockets of a user closed after logout", "100 % in 2 s"),
    Row("S-29", "Wrong decisions on the corpus of origins", "0 of 40"),
    Row("S-30", "Wrong decisions on expiry with clocks 90 s apart", "0 of 400"),
    Row("S-31", "Layer suite passed on all layers, waivers", "100 %, 0"),
    Row("S-32", "Ten minutes of random faults", "all invariants hold"),
    Row(
        "S-33",
        "Longest pause of the event loop while 100 broadcasts at once go to a group of 4,000 sockets (uvicorn, daphne)",
        "at most 50 ms; every socket gets all in order, none is closed",
        "bursts.deliver_bursts",
        (
            Limit("uvicorn_pause", "<=", 50),
            Limit("daphne_pause", "<=", 50),
            *_none("uvicorn_closed", "uvicorn_incomplete", "daphne_closed", "daphne_incomplete"),
        ),
        "uvicorn {uvicorn_pause:.0f} ms ({uvicorn_work:.0f} of work at most) in {uvicorn_seconds} s, {uvicorn_closed} "
        "closed, {uvicorn_incomplete} without all; daphne {daphne_pause:.0f} ms ({daphne_work:.0f}) in "
        "{daphne_seconds} s, {daphne_closed} closed, {daphne_incomplete} without all; of {members} sockets",
    ),
    Row(
        "S-34",
        "p99 of a page while 50 clients send a byte and 50 read 2 kB a second, above that without them (4 servers)",
        "at most 100 ms; memory below 150 MB, disk below 1 GiB and given back",
        "transfers.slow_clients",
        (
            Limit("delay_ms", "<=", 100),
            Limit("rise_mb", "<", 150),
            Limit("disk_mb", "<", 1024),
            *_none("failed"),
        ),
        "{delay_ms:+.0f} ms, {rise_mb:.0f} MB of memory, {disk_mb:.0f} MB of disk at most, all of it given back; "
        "{failed} pages failed",
    ),
    Row(
        "S-35",
        "p99 of paced echoes while one client floods 5 sockets with a frame a millisecond each, above that without it "
        "(Redis and in-memory, daphne and uvicorn)",
        "at most 20 ms, no echo missing",
        "flooding.flood_beside",
        (Limit("cost_ms", "<=", 20), Limit("frames", ">=", "wanted"), *_none("missing")),
        "{costs}; {missing} of {echoes} echoes of {sockets} sockets missing, {frames} frames of the flood at least",
    ),
    Row(
        "S-36",
        "Sockets in order that lost a message with a killed worker and were not told (4 workers, 2 threads each)",
        "0; closed with 1013, no more than messages were lost with workers; the rest in order",
        "restarts.kill_ordered",
        (
            Limit("dropped_sockets", "<=", "unfinished"),
            *_none("silent", "closed_otherwise", "repeated", "disordered", "unexplained"),
            _ENOUGH,
        ),
        "{silent} in {kills} kills; {dropped_sockets} of {sockets} closed, {closed_otherwise} without 1013, "
        "{unfinished} messages lost with workers; {lost} of {sent} lost in all, {unexplained} without a reason; "
        "{repeated} repeated, {disordered} out of order",
    ),
    Row(
        "S-37",
        "Messages lost by kill -9 of workers where the layer cannot count them (4 workers, 2 threads each)",
        "at most one per kill and thread; none repeated, no socket dropped",
        "restarts.kill_unseen",
        (Limit("lost", "<=", "in_hand"), *_none("repeated", "dropped_sockets"), _ENOUGH),
        "{lost} in {kills} kills, with {in_hand} in hand at most, of {sent}; {repeated} repeated, "
        "{dropped_sockets} sockets dropped",
    ),
]
