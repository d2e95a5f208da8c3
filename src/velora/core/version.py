"""The version of Velora that is installed."""

from importlib.metadata import version

__version__ = version("velora")
