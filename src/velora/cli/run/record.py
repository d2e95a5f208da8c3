"""The job of ``velora record``: a video of an agent from a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from velora.checkpoint.choice import choose_checkpoints
from velora.cli.run.places import writing
from velora.cli.run.report import counted
from velora.cli.run.saved_agent import given_checkpoint, load_agent, open_environment
from velora.core.errors import SettingError
from velora.core.terminal import say
from velora.core.types import Filmed
from velora.envs.drawing import PICTURES, prepare_drawing
from velora.envs.film import check_format, default_format
from velora.training.evaluation import reset_seeds, tell_limit
from velora.training.filming import film


def run_record(cfg: DictConfig, run_dir: Path) -> float:
    """Write the video, print what its episodes earned, and the same as a last line of JSON.

    Of a run of several seeds there is a video of each, with the seed in its name.

    Args:
        cfg: settings of the shape of ``conf/record.yaml``.
        run_dir: not used; nothing but the video is written.

    Returns:
        The mean return.

    Raises:
        VeloraError: if the checkpoint can't be loaded, its environment draws no pictures, or the format can't be
            written.
    """
    for name in ("episodes", "every", "max_steps"):
        if cfg[name] < 1:
            raise SettingError(f"{name}: expected at least 1, got {cfg[name]}")
    given, here = given_checkpoint(cfg)
    out = here / (f"episode{default_format()}" if cfg.out is None else cfg.out)
    check_format(out)
    prepare_drawing()
    chosen = choose_checkpoints(given)
    videos = []
    for path in chosen:
        agent, seed = load_agent(cfg, here / path)
        own = out if len(chosen) == 1 else out.with_stem(f"{out.stem}-seed{seed}")
        env, _ = open_environment(cfg, path, agent, render=PICTURES)
        try:
            agent.adapt(env)
            tell_limit(env, cfg.max_steps, setting="max_steps")
            seeds = reset_seeds(cfg.seed, cfg.episodes)
            with writing("out", own):
                videos.append(film(agent, env, own, seeds, every=cfg.every, max_steps=cfg.max_steps))
        finally:
            env.close()
        _print(path, videos[-1], here)
    records = [
        {"video": str(one.path), "checkpoint": str(path), "pictures": one.n_pictures, "returns": list(one.returns)}
        for path, one in zip(chosen, videos, strict=True)
    ]
    say(json.dumps(records[0] if len(records) == 1 else {"videos": records}) + "\n")
    return float(np.mean([one.returns for one in videos]))


def _print(path: Path, video: Filmed, here: Path) -> None:
    shown = video.path.relative_to(here) if video.path.is_relative_to(here) else video.path
    say(f"checkpoint  {path}\n")
    for number, value in enumerate(video.returns, start=1):
        say(f"episode {number:>3} {value:.1f}\n")
    say(f"video       {shown} ({counted([video.n_pictures], 'picture')})\n")
