"""The proof of every agent of the zoo on every target: ``make proof``."""
