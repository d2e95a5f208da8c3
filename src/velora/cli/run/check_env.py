"""The job of ``velora check-env``: print what was found out about an environment."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from velora.cli.command.arguments import written
from velora.cli.command.given import given_words
from velora.cli.settings.objects import chosen_wrappers, fitting_agents, make_environment, merged
from velora.core.errors import SettingError, SpaceError
from velora.core.terminal import say
from velora.envs.check import Report, check_environment
from velora.envs.played import answered

_COLUMN, _WIDTH = 14, 120


def run_check(cfg: DictConfig, run_dir: Path) -> float:
    """Print facts, cautions and problems of an environment, and the command to train with.

    Args:
        cfg: settings of the shape of ``conf/check_env.yaml``.
        run_dir: not used; checking writes nothing.

    Returns:
        How many problems there are: 0.

    Raises:
        SpaceError: if there are any; each has been printed.
        SettingError: if no environment is given.
    """
    if cfg.env.id is None:
        raise SettingError("expected an environment, as in velora check-env my_module:MyEnv-v0, or env=pendulum")
    kwargs = OmegaConf.to_container(cfg.env.kwargs, resolve=True)
    wrappers = merged([], chosen_wrappers(cfg.env))
    env = answered(
        lambda: make_environment(cfg.env.id, kwargs, wrappers=wrappers),  # type: ignore[arg-type]
        f"making {cfg.env.id}",
    )
    try:
        report = check_environment(env, seed=cfg.seed, steps=cfg.steps)
    finally:
        env.close()
    fitting = fitting_agents(discrete=report.is_discrete)
    facts = [("environment", cfg.env.id), *report.facts]
    if not report.problems:
        facts += [("agents", ", ".join(fitting)), ("train", _command(cfg, fitting))]
    say("".join(f"{line}\n" for line in (*_table(facts), *_remarks(report))))
    if report.problems:
        n = len(report.problems)
        raise SpaceError(f"{cfg.env.id}: {n} problem{'' if n == 1 else 's'}, see above")
    return 0.0


def _command(cfg: DictConfig, fitting: Sequence[str]) -> str:
    """Write the command that trains in this environment: its words here, without those of checking."""
    own, is_named = given_words("env.id", "steps", "seed"), len(given_words("env.id")) < len(given_words())
    if is_named:
        own.insert(0, written("env.id", cfg.env.id))
    agent = [] if "liquid_ddpg" in fitting else [f"agent={fitting[0]}"]
    return " ".join(["velora train", *own, *agent])


def _table(facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in facts:
        first, *more = textwrap.wrap(text, _WIDTH - _COLUMN, break_long_words=False) or [""]
        yield f"{name:<{_COLUMN}}{first}"
        yield from (f"{'':<{_COLUMN}}{line}" for line in more)


def _remarks(report: Report) -> Iterator[str]:
    for text in report.problems:
        yield f"problem: {text}"
    for text in report.cautions:
        yield f"note: {text}"
    if not (report.problems or report.cautions):
        yield "no problems"
