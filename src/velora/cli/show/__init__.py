"""The command ``velora show``: what a run or a checkpoint is, how it came about, and what can be done with it."""
