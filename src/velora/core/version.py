"""The one source of the version: the wheel, checkpoints, run stores and the command read it from here."""

__version__ = "0.3.0.dev0"
