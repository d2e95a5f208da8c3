"""The job of ``velora push``: play an agent, write its model card, and share both on a Hub."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from velora.checkpoint import Checkpoint
from velora.checkpoint.choice import choose_checkpoints
from velora.checkpoint.layout import CHECKPOINTS, listed, seed_directories
from velora.checkpoint.remote import check_name
from velora.cli.run import evaluation, resume
from velora.cli.run.report import counted
from velora.cli.run.saved_agent import given_checkpoint, load_agent, open_environment
from velora.core.errors import SettingError
from velora.core.terminal import say
from velora.hub.folder import check_new, write_folder
from velora.hub.proofs import read_proof
from velora.hub.pushing import check_token, push
from velora.hub.scores import Scores
from velora.models import Agent
from velora.training.evaluation import reset_seeds, tell_limit


def run_push(cfg: DictConfig, run_dir: Path) -> float:
    """Print the score and what was pushed, or written.

    Args:
        cfg: settings of the shape of ``conf/push.yaml``.
        run_dir: not used.

    Returns:
        The mean return; NaN where no episode was played.

    Raises:
        VeloraError: if the checkpoint can't be loaded, its environment not be made, or the Hub refuses.
    """
    given, here = given_checkpoint(cfg)
    _check(cfg, here)
    chosen = _choose(given, cfg.agent_seed)
    path = here / chosen
    agent, _ = load_agent(cfg, path)
    proof = None if cfg.proof is None else here / cfg.proof
    if proof is not None:
        read_proof(proof, digest=Checkpoint.open(path).digest)
    scores = _play(cfg, path, agent) if cfg.episodes else None
    with tempfile.TemporaryDirectory(prefix="velora-") as directory:
        folder = Path(directory, "folder") if cfg.out is None else here / cfg.out
        card = write_folder(
            folder,
            agent,
            cfg.repo,
            checkpoint=Checkpoint.open(path),
            scores=scores,
            run=_run_of(path),
            proof=proof,
            license_name=cfg.license or "",
        )
        record: dict[str, Any] = {"checkpoint": str(chosen), "repo": cfg.repo, "digest": card.digest}
        if scores is not None:
            over = f"over {counted([len(scores.returns)], 'episode')}"
            say(f"return      {scores.mean:.1f} ± {scores.std:.1f} {over} of {scores.environment}\n")
            record |= {"mean": scores.mean, "std": scores.std, "returns": list(scores.returns)}
        if cfg.out is None:
            done = push(folder, cfg.repo, private=cfg.private, message=cfg.message)
            say(f"pushed      {done.address}\ncommit      {done.commit}\n")
            record |= {"commit": done.commit, "address": done.address}
        else:
            say(f"written     {cfg.out}; nothing was pushed\n")
            record["folder"] = cfg.out
        say(json.dumps(record) + "\n")
    return math.nan if scores is None else scores.mean


def _check(cfg: DictConfig, here: Path) -> None:
    """Say what is missing, or in the way, before anything is played.

    Raises:
        VeloraError: if something is.
    """
    if cfg.episodes < 0:
        raise SettingError(f"episodes: expected at least 0, got {cfg.episodes}")
    if cfg.repo is None:
        raise SettingError("repo: needs a value; say where to: velora push <run> user/name")
    check_name(cfg.repo)
    if cfg.out is None:
        check_token(cfg.repo)
    else:
        check_new(here / cfg.out)


def _choose(given: Path, seed: int | None) -> Path:
    """Choose the checkpoint of one seed.

    Raises:
        SettingError: if there are several and none is named, or it isn't among them.
    """
    paths = choose_checkpoints(given)
    if seed is None and len(paths) == 1:
        return paths[0]
    of_seeds = {Checkpoint.open(path).metadata.seed: path for path in paths}
    if seed is None:
        raise SettingError(f"push: {given} holds the seeds {listed(of_seeds)}; choose one: agent_seed={min(of_seeds)}")
    if seed not in of_seeds:
        raise SettingError(f"agent_seed: {given} has no seed {seed}; expected one of {listed(of_seeds)}")
    return of_seeds[seed]


def _run_of(checkpoint: Path) -> Path:
    """Return the directory of the run that a checkpoint is in, also of one of several seeds."""
    home = checkpoint.parent
    is_of_seed = home.parent.name == CHECKPOINTS and home in seed_directories(home.parent).values()
    return home.parent.parent if is_of_seed else resume.run_of(checkpoint)


def _play(cfg: DictConfig, path: Path, agent: Agent) -> Scores:
    env, env_id = open_environment(cfg, path, agent, render=None)
    try:
        tell_limit(env, cfg.max_steps, setting="max_steps")
        seeds = reset_seeds(cfg.seed, cfg.episodes)
        returns = evaluation.play(agent, env, seeds, max_steps=cfg.max_steps, alone=False)
    finally:
        env.close()
    which = "episodes that training evaluated on" if cfg.seed is None else "episodes that training didn't use"
    return Scores.of(returns, env_id, which)
