"""Shorthands for scripts and notebooks."""

from velora.core.devices import set_device
from velora.core.seeding import set_seed

__all__ = ["set_device", "set_seed"]
