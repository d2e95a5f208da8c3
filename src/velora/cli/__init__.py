"""The command line. No other package knows Hydra.

``commands.py`` lists the commands: one more is one row there. ``main.py`` runs the command that is asked for. An
override, as in ``velora train agent.tau=0.01``, goes through these rooms in order:

- ``command/``: ``arguments.py`` reads the words; ``jobs.py`` are the commands with settings; ``launch.py`` lets
  Hydra compose these and runs the job; ``mistakes.py`` explains a word that can't be composed.
- ``settings/``: ``schema.py`` holds names and types; ``fields.py`` makes those of the agents, ``wrappers.py`` those of
  groups below ``env``, and ``explained.py`` writes their meanings into ``--help``. ``budget.py`` is a run's length,
  ``choice.py`` chooses the checkpoint to evaluate. ``objects.py`` makes environment, agent and callbacks,
  ``loggers.py`` loggers; ``instantiate.py`` calls the class that an entry names.
- ``run/``: the jobs ``training.py`` and ``evaluation.py``, and ``plot.py``. ``seeds.py``, ``run_directory.py``,
  ``resume.py`` and ``report.py`` are parts of training.
- ``doctor/``: ``machine.py`` gathers facts, ``self_check.py`` compares kernels, ``advice.py`` says how to do better,
  ``doctor_view.py`` prints.
"""
