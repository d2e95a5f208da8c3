"""The command ``velora drive``."""
