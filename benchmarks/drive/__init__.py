"""Driving in real time: what jitter costs policies, and what learning costs the clock."""
