"""Count what survives what: faults struck in real processes, on Velora's checkpoints and runs and on those of peers."""
