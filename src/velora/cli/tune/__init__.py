"""The command ``velora tune``: search for settings, each trial a run that can be resumed, over any number of processes."""
