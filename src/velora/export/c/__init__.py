"""Policies as C99 in float32: no memory but what the caller gives, no mathematical library, the same bits everywhere."""
