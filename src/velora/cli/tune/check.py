"""What is checked before a study begins: every end of every dimension makes an environment and an agent."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from velora.cli.tune.options import FEWEST_IN_SEQUENCE
from velora.cli.tune.request import Request
from velora.core.errors import SettingError, VeloraError


def check(asked: Request) -> DictConfig:
    """Check a study, as far as that can be done without training.

    Returns:
        The settings of one trial.

    Raises:
        VeloraError: if a setting is unknown, or out of its domain somewhere in the search space; or if pruning, or the
            value of a trial, needs evaluations or seeds that aren't there.
    """
    samples = list(asked.samples())
    _check_evaluations(asked, samples[0].train.evaluate_every)
    made: set[str] = set()
    for cfg in samples:
        text = OmegaConf.to_yaml(OmegaConf.create({"agent": cfg.agent, "env": cfg.env}), resolve=True)
        if text not in made:
            made.add(text)
            _make(cfg)
    return samples[0]


def _make(cfg: DictConfig) -> None:
    import torch

    from velora.cli.settings.objects import chosen_wrappers, make_agent, make_environment, merged

    kwargs: Any = OmegaConf.to_container(cfg.env.kwargs, resolve=True)
    env = make_environment(cfg.env.id, kwargs, wrappers=merged([], chosen_wrappers(cfg.env)))
    try:
        make_agent(cfg.agent, env, device=torch.device("cpu"), kernel=cfg.device.kernel, seeds=[0])
    except VeloraError as error:
        raise type(error)(f"{error}; every value of the search space must be one that can be trained") from error
    finally:
        env.close()


def _check_evaluations(asked: Request, every: int | None) -> None:
    """Check that pruning and the value of a trial have the evaluations that they need."""
    options = asked.options
    needs: list[tuple[str, str]] = [("pruner", options.pruner)] if options.pruner in ("median", "hyperband") else []
    needs += [("value", options.value)] if options.value != "final" else []
    if needs and every is None:
        name, value = needs[0]
        raise SettingError(f"{name}: {value} needs evaluations along the run; add train.evaluate_every=10 (episodes)")
    n_seeds = len(asked.seeds())
    if options.is_in_sequence and n_seeds < FEWEST_IN_SEQUENCE:
        raise SettingError(
            f"pruner: wilcoxon compares seeds one by one and needs {FEWEST_IN_SEQUENCE} of them, got {n_seeds}; "
            f"add train.seeds={FEWEST_IN_SEQUENCE}, or choose pruner=median"
        )
