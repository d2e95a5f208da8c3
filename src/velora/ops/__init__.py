"""Pure functions over tensors: targets, losses, averaging, clipping and noise."""
