"""Policies in whole numbers: calibrate, round, compute in NumPy with the bits of the generated C, and judge."""
