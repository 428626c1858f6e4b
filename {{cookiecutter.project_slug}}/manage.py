#!/usr/bin/env python
"""Runs Django's commands for this site, for example `python manage.py runserver`."""

import os
import sys
import traceback


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line
        from django.db import OperationalError, connection
    except ImportError as error:
        raise ImportError(
            f"Django is not installed for {sys.executable}. Activate the virtual environment, "
            "or install what the site needs: python -m pip install -r requirements.txt"
        ) from error
    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        frames = traceback.extract_tb(error.__traceback__)
        if "--traceback" in sys.argv or not any(frame.name == "get_new_connection" for frame in frames):
            raise
        sys.exit(
            f"The database cannot be reached: {error}\n"
            "DATABASE_URL in the environment or in .env names it. Start its server, or change the address; and if the "
            f"server has no such database yet, make it: createdb {connection.settings_dict['NAME']}"
        )


if __name__ == "__main__":
    main()
