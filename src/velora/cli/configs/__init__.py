"""The command ``velora configs``: groups, options and settings, each with its documentation, from where it stands."""
