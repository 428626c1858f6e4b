"""Runs `manage.py` as if on Windows: without the signals and the functions that only POSIX systems have."""

import os
import runpy
import select
import signal
import sys

MISSING = {
    signal: ("SIGHUP", "SIGCHLD", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "pthread_sigmask"),
    os: ("fork", "set_blocking", "killpg", "getuid", "geteuid", "register_at_fork"),
    select: ("poll", "epoll"),
}

for module, names in MISSING.items():
    for name in names:
        delattr(module, name)

sys.argv = ["manage.py", *sys.argv[1:]]
sys.path.insert(0, os.getcwd())
runpy.run_path("manage.py", run_name="__main__")
