"""Prove exported policies: compile them, run them in emulators, and compare them with what was trained."""
