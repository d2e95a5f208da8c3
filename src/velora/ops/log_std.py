"""Bounds of the logarithm of a policy's standard deviation, apart from NumPy since the build reads them too."""

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0
LOG_STD_MIDDLE, LOG_STD_HALF = (LOG_STD_MAX + LOG_STD_MIN) / 2, (LOG_STD_MAX - LOG_STD_MIN) / 2
