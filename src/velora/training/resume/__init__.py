"""Exact resume: what a run packs into a checkpoint, which checkpoint a resume begins from, and what it restores."""
