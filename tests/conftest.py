"""What holds for all tests."""

import signal

# A shell has the commands that it runs in the background ignore Ctrl+C, and so does whatever they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
