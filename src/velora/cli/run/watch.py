"""The job of ``velora watch``: a page that shows a policy at work."""

from __future__ import annotations

import json
from pathlib import Path

from omegaconf import DictConfig

from velora.checkpoint.choice import choose_checkpoints
from velora.cli.command.arguments import written
from velora.cli.run.saved_agent import given_checkpoint, load_agent, open_environment
from velora.core import disk
from velora.core.errors import SettingError
from velora.core.terminal import say
from velora.envs.film import prepare_drawing
from velora.envs.make import PICTURES
from velora.watch.page import watch_page
from velora.watch.trace import trace


def run_watch(cfg: DictConfig, run_dir: Path) -> float:
    """Play an episode, write its page, and print what it earned, and the same as a last line of JSON.

    Of a run of several seeds there is a page of each, with the seed in its name.

    Args:
        cfg: settings of the shape of ``conf/watch.yaml``.
        run_dir: not used; nothing but the page is written.

    Returns:
        The return of the last episode.

    Raises:
        VeloraError: if the checkpoint can't be loaded, its policy can't be described, its environment draws no
            pictures, or the page can't be written.
    """
    given, here = given_checkpoint(cfg)
    if cfg.episodes != 1:
        raise SettingError(f"episodes: a page shows 1, got {cfg.episodes}; choose another one with seed=")
    out = here / (cfg.out or "watch.html")
    prepare_drawing()
    chosen, pages, earned = choose_checkpoints(given), list[dict[str, object]](), 0.0
    for path in chosen:
        agent, seed = load_agent(cfg, here / path)
        own = out if len(chosen) == 1 else out.with_stem(f"{out.stem}-seed{seed}")
        env, env_id = open_environment(cfg, path, agent, render=PICTURES if cfg.pictures else None)
        try:
            shown = trace(agent, env, seed=cfg.seed, max_steps=cfg.max_steps, pictures=cfg.pictures)
        finally:
            env.close()
        command = [
            "velora watch",
            written("checkpoint", str(path)),
            *([] if cfg.seed is None else [f"seed={cfg.seed}"]),
        ]
        _write(own, watch_page(shown, command=" ".join(command)))
        earned = shown.episode_return
        place = own.relative_to(here) if own.is_relative_to(here) else own
        say(f"checkpoint  {path}\nepisode     {shown.n_steps:,} steps on {env_id}, return {earned:.1f}\n")
        say(f"page        {place} ({own.stat().st_size / 1e6:.1f} MB); open it in a browser\n")
        pages.append({"page": str(own), "checkpoint": str(path), "return": earned, "steps": shown.n_steps})
    say(json.dumps(pages[0] if len(pages) == 1 else {"pages": pages}) + "\n")
    return earned


def _write(path: Path, text: str) -> None:
    try:
        disk.write_text(path, text)
    except OSError as error:
        raise SettingError(f"out: {path} can't be written ({error.strerror or error})") from error
