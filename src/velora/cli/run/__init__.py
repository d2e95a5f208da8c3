"""Jobs of the command line: train, evaluate, plot."""
