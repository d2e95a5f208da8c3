"""Velora: liquid neural networks that learn to control things."""

__version__ = "0.3.0.dev0"
"""The one source of the version: the wheel, checkpoints, run stores and the command read it from here."""
