"""What single servers need beyond the ASGI specification."""
