"""The job of ``velora watch``: a page that shows a policy at work."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from velora import envs
from velora.checkpoint.choice import choose_checkpoints
from velora.cli.command.arguments import written
from velora.cli.command.given import given_words
from velora.cli.run.places import check_place, writing
from velora.cli.run.saved_agent import given_checkpoint, load_agent, open_environment
from velora.core import disk, zoo
from velora.core.errors import SettingError
from velora.core.terminal import say
from velora.envs.drawing import PICTURES, prepare_drawing
from velora.models import Agent
from velora.watch.live import Lane, live_page
from velora.watch.page import watch_page
from velora.watch.trace import trace


def run_watch(cfg: DictConfig, run_dir: Path) -> float:
    """Write a page of a policy at work: of an episode that is played now, or one in which it goes on acting.

    Of a run of several seeds there is a page of each, with the seed in its name. The last line printed is JSON.

    Args:
        cfg: settings of the shape of ``conf/watch.yaml``.
        run_dir: not used; nothing but the page is written.

    Returns:
        The return of the last episode; NaN where none was played.

    Raises:
        VeloraError: if a checkpoint can't be loaded, its policy can't be described, its environment draws no
            pictures, or isn't one that a live page computes, or the page can't be written.
    """
    given, here = given_checkpoint(cfg)
    if cfg.episodes != 1:
        raise SettingError(f"episodes: a page shows 1, got {cfg.episodes}; choose another one with seed=")
    if cfg.beside is not None and not cfg.live:
        raise SettingError("beside: policies stand side by side in a live page; add live=true")
    out = here / (cfg.out or ("live.html" if cfg.live else "watch.html"))
    chosen, pages = choose_checkpoints(given), list[dict[str, object]]()
    beside = _beside(cfg, here) if cfg.live else []
    for path in chosen:
        agent, seed = load_agent(cfg, here / path)
        own = out if len(chosen) == 1 else out.with_stem(f"{out.stem}-seed{seed}")
        check_place("out", own)
        place = own.relative_to(here) if own.is_relative_to(here) else own
        name = str(cfg.checkpoint.path) if len(chosen) == 1 else str(path)
        written_page = _live(cfg, name, path, agent, beside) if cfg.live else _recorded(cfg, name, path, agent)
        with writing("out", own):
            disk.write_text(own, written_page.html)
        say(f"checkpoint  {path}\n{written_page.about}")
        say(f"page        {place} ({own.stat().st_size / 1e6:.2f} MB); open it in a browser\n")
        pages.append({"page": str(own), "checkpoint": str(path), **written_page.numbers})
    say(json.dumps(pages[0] if len(pages) == 1 else {"pages": pages}) + "\n")
    return float(pages[-1].get("return", math.nan))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Page:
    """A page, lines to print about it, and numbers for other programs."""

    html: str
    about: str
    numbers: Mapping[str, object]


def _recorded(cfg: DictConfig, name: str, path: Path, agent: Agent) -> _Page:
    prepare_drawing()
    env, env_id = open_environment(cfg, path, agent, render=PICTURES if cfg.pictures else None)
    try:
        shown = trace(agent, env, seed=cfg.seed, max_steps=cfg.max_steps, pictures=cfg.pictures)
    finally:
        env.close()
    earned = shown.episode_return
    about = f"episode     {shown.n_steps:,} steps on {env_id}, return {earned:.1f}\n"
    html = watch_page(shown, command=_command(name))
    return _Page(html, about, {"return": earned, "steps": shown.n_steps})


def _live(cfg: DictConfig, name: str, path: Path, agent: Agent, beside: Sequence[Lane]) -> _Page:
    lane = _lane(cfg, name, path, agent)
    words = [shlex.quote(f"beside={','.join(_words(cfg))}")] if beside else []
    html = live_page(lane, *beside, seed=cfg.seed, command=_command(name, *words))
    names = [one.name for one in (lane, *beside)]
    return _Page(html, f"live        {', '.join(names)}\n", {"live": names})


def _lane(cfg: DictConfig, name: str, path: Path, agent: Agent) -> Lane:
    """Describe an agent in the environment that the settings say, which is made for that."""
    env, _ = open_environment(cfg, path, agent, render=None)
    try:
        return Lane.of(agent, name, envs.describe(env))
    finally:
        env.close()


def _beside(cfg: DictConfig, here: Path) -> list[Lane]:
    """Describe the agents that stand beside the first; of a run of several seeds, all."""
    lanes = []
    for word in _words(cfg):
        found = zoo.resolve(word)
        chosen = choose_checkpoints(found if here == Path.cwd() else here / found)
        for path in chosen:
            agent, seed = load_agent(cfg, here / path)
            lanes.append(_lane(cfg, word if len(chosen) == 1 else f"{word}, seed {seed}", path, agent))
    return lanes


def _words(cfg: DictConfig) -> list[str]:
    given = cfg.beside or []
    return [given] if isinstance(given, str) else [str(one) for one in given]


def _command(checkpoint: str, *words: str) -> str:
    """Write the command that makes the page of a checkpoint again, wherever it is to be written."""
    own = given_words("checkpoint.path", "out", "beside")
    return " ".join(["velora watch", written("checkpoint", checkpoint), *own, *words])
