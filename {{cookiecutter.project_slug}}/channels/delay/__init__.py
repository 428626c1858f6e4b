"""Messages that are sent later: an app with a table of them, and the process that sends what is due."""
