"""The calls of the C kernel, and the arithmetic of an update made of them."""
