#!/usr/bin/env python
"""Runs Django's commands for this site, for example `python manage.py runserver`."""

import os
import sys


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise ImportError(
            f"Django is not installed for {sys.executable}. Activate the virtual environment, "
            "or install what the site needs: python -m pip install -r requirements.txt"
        ) from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
