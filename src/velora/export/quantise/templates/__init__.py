"""Texts in C that a quantised policy is put together from; see :mod:`velora.export.c.templates`."""
