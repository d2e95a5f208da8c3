"""Velora: liquid neural networks that learn to control things."""

from importlib.metadata import version

__version__ = version("velora")
