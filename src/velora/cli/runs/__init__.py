"""Runs as people see them: the list of ``velora runs``, the live table of a sweep, and the table at its end."""
