"""Policies as C99 in float32: no memory but what is given, no mathematical library, the same bits everywhere."""
