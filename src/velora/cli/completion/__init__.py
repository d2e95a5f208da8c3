"""The command ``velora completion``: scripts for shells, and the words that they ask for."""
