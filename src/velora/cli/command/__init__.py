"""From words to a job: read the command line, compose the settings, run, and report a failure in one line."""
