"""Turn trained policies into files that run without Velora."""
