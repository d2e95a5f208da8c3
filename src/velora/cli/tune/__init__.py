"""The command ``velora tune``: a search for settings, in which each trial is a run that can be resumed."""
