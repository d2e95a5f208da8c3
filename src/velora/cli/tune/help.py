"""The help of ``velora tune``."""

from __future__ import annotations

from typing import Final

HELP: Final = """\
Search for settings. Each trial is a run, saved and resumed like any other; the return is maximised.

  velora tune agent=liquid_td3 env=pendulum 'agent.actor_lr=tag(log,interval(1e-5,1e-2))' \\
      'agent.n_neurons=choice(10,20,40)' train.seeds=3 trials=50 workers=2
  velora tune resume=<study>                       # after Ctrl+C, a kill or a power cut
  velora tune resume=<study> workers=1             # one more worker, from another terminal or machine
  velora tune resume=<study> trials=100            # more trials
  velora tune show=<study> out=study.html          # what it has found so far

The settings are those of velora train. One with several values is searched:
  agent.actor_lr=interval(1e-4,1e-2)               numbers between the two; always with a fraction
  agent.n_neurons=int(interval(8,64))              whole numbers, both ends among them
  agent.n_neurons=range(10,50,10)                  10, 20, 30, 40
  agent.actor_lr=tag(log,interval(1e-5,1e-2))      as many from 1e-5 to 1e-4 as from 1e-3 to 1e-2
  agent.cell=choice(cfc,gru)                       one of them; or agent.cell=cfc,gru
  agent.critic_units=[64,64],[128,128]             lists too, and null outside of choice()

Options:
  trials=20                 how many; those that fail and are pruned among them
  workers=                  processes, by default one for each core; the cores are shared out
  study=                    the directory, by default a new one in studies/; a command repeated goes on
  sampler=tpe               tpe, gp (Gaussian processes, for up to 200 trials) or random
  sampler_seed=0            another one draws others
  statistic=mean            of the seeds: mean, iqm, median or min
  value=final               of the evaluations: final, best or mean
  pruner=none               median or hyperband: ends trials that fall behind at an evaluation (train.evaluate_every);
                            wilcoxon: trains seeds one after the other, and stops when they tell that others are better
  minimise=                 a second objective: parameters (of the policy), ms_per_action, or [parameters,ms_per_action]
  max_parameters=           trials beyond it are never best
  max_ms_per_action=        likewise, as measured on this machine while it trains

A study leaves journal.log, which Optuna and optuna-dashboard open, a directory for each trial, study.html with its
pictures, and experiment/best.yaml; at its end, the command to train with it is printed."""
