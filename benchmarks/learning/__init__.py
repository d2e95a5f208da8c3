"""Does it learn: default settings, several seeds, fixed evaluation episodes."""
