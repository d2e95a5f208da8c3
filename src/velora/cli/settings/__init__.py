"""Settings: their names and types, and the objects that they describe."""
