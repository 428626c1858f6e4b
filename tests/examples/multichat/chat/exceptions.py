class Refused(Exception):
    """What a user asked for cannot be done; the reason goes to the page."""

    def __init__(self, reason):
        super(Refused, self).__init__(reason)
        self.reason = reason
