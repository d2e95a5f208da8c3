"""Policies as C99 in float32: no memory but the caller's, no mathematical library, the same bits everywhere."""
