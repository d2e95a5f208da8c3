"""Bits of training: digests of weights and metric rows after short runs, to compare two versions of the code."""
