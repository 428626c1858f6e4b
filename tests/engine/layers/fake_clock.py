"""A clock for layers: its time passes when a test says so."""


class FakeClock:
    def __init__(self):
        # Halves and quarters of a second are exact there.
        self.now = 1000.0

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds
