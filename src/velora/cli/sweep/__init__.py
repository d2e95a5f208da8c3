"""Sweeps: sets of run directories, each named by what makes its run what it is, so that no scheduler holds state."""
