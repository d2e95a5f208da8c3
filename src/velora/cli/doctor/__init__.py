"""``velora doctor``: what this machine computes with, and what would make it faster."""
