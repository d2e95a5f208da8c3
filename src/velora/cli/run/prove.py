"""The job of ``velora prove``: an exported policy on emulated chips, beside the agent that it was exported from."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, ListConfig

from velora.checkpoint import Checkpoint
from velora.checkpoint.choice import choose_checkpoint
from velora.cli.run import run_directory
from velora.cli.run.bar import Bar
from velora.cli.run.places import check_place, writing
from velora.cli.run.saved_agent import load_agent, open_environment
from velora.core import small_json
from velora.core.errors import ExportError, SettingError
from velora.core.terminal import say
from velora.export.describe import describe
from velora.export.manifest import Manifest
from velora.proof import report
from velora.proof.firmware import POLICY
from velora.proof.prove import Exported, Plan, prove
from velora.proof.results import TargetResult
from velora.proof.targets import Target, find_targets, installing
from velora.training.evaluation import reset_seeds, tell_limit

_LEAST = {"episodes": 0, "slow_episodes": 0, "steps": 1, "max_steps": 1}


def run_prove(cfg: DictConfig, run_dir: Path) -> float:
    """Print the table of the proof, and write its numbers where ``json=`` says.

    Args:
        cfg: settings of the shape of ``conf/prove.yaml``.
        run_dir: not used.

    Returns:
        The mean return in closed loop on the last target; that of ``predict`` if nothing was steered.

    Raises:
        VeloraError: if the directory isn't one that was exported, a target or tool is missing, an emulator doesn't
            answer, or the policy isn't proved.
    """
    _check(cfg)
    if sys.platform == "win32":
        raise ExportError("prove: the emulators are spoken to through POSIX pipes; use Linux, macOS or WSL")
    targets = chosen_targets(cfg.target)
    here = run_directory.started_in()
    directory = here / cfg.policy
    if cfg.json is not None:
        check_place("json", here / cfg.json)
    exported, checkpoint = open_exported(cfg, directory)
    env, _ = open_environment(cfg, checkpoint, exported.agent, render=None)
    try:
        exported.agent.adapt(env)
        tell_limit(env, cfg.max_steps, setting="max_steps")
        slow = cfg.episodes if cfg.slow_episodes is None else cfg.slow_episodes
        seeds = reset_seeds(cfg.seed, cfg.episodes)
        plan = Plan(seeds, slow, cfg.steps, max_steps=cfg.max_steps, timeout_s=cfg.timeout_s)
        with ProofBar() as bar:
            proof = prove(exported, env, targets, plan, bar)
    finally:
        env.close()
    width = shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None
    say(report.table(proof, width=width))
    if cfg.json is not None:
        with writing("json", here / cfg.json) as path:
            small_json.write(path, json.loads(json.dumps(proof.document(), default=float)))
    if proof.failures:
        raise ExportError(f"not proved: {'; '.join(proof.failures)}")
    steered = [one.returns for one in proof.targets if one.returns] or [list(proof.returns)]
    return float(np.mean(steered[-1])) if steered[-1] else 0.0


def chosen_targets(given: Any) -> list[Target]:
    """Return the targets of which at least one has its tools.

    Raises:
        ExportError: if there is no such target, or none has.
    """
    targets = find_targets(given if isinstance(given, ListConfig) else str(given).split(","))
    if all(target.missing for target in targets):
        missing = dict.fromkeys(tool.program for target in targets for tool in target.missing)
        raise ExportError(f"target={given}: {', '.join(missing)} is missing; {installing(targets)}")
    return targets


def open_exported(cfg: DictConfig, directory: Path) -> tuple[Exported, Path]:
    """Open a directory that was exported, and load the agent that it came from; return the checkpoint's path too.

    Raises:
        ExportError: if the directory or its files aren't as they were written, or the checkpoint is another one.
        CheckpointError: if that can't be loaded.
    """
    manifest = Manifest.read(directory)
    if manifest.target != "c":
        raise ExportError(f"{directory}: holds a policy for {manifest.target}; prove compiles C: velora export to=c")
    if changed := [name for name in manifest.changed(directory) if name in POLICY]:
        raise ExportError(f"{directory / changed[0]}: not as velora export wrote it; export the policy again")
    given = manifest.checkpoint_in(directory) if cfg.checkpoint.path is None else Path(cfg.checkpoint.path)
    if given is None:
        raise ExportError(f"{directory}: was exported from an agent in memory; give its checkpoint as checkpoint=...")
    if not given.exists():
        raise ExportError(f"{directory}: its checkpoint {given} is gone; say where it is now with checkpoint=...")
    checkpoint = Checkpoint.open(choose_checkpoint(given))
    if checkpoint.digest != manifest.digest:
        raise ExportError(
            f"{directory}: was exported from a checkpoint with the digest {manifest.digest[:12]}, and {given} has "
            f"{checkpoint.digest[:12]}; export that one, or give the right one as checkpoint=..."
        )
    agent, _ = load_agent(cfg, checkpoint.path)
    return Exported(directory, manifest, agent, describe(agent, checkpoint)), checkpoint.path


def _check(cfg: DictConfig) -> None:
    if cfg.policy is None:
        raise SettingError("policy: needs a value; give a directory that velora export to=c wrote")
    for name, least in _LEAST.items():
        if cfg[name] is not None and cfg[name] < least:
            raise SettingError(f"{name}: expected at least {least}, got {cfg[name]}")
    if not cfg.timeout_s > 0:
        raise SettingError(f"timeout_s: expected more than 0, got {cfg.timeout_s}")


def _told(result: TargetResult) -> str:
    if result.failure:
        return result.failure
    bits = "" if result.same_bits is None else "the same bits, " if result.same_bits else "other bits, "
    if not result.returns:
        return f"{bits}no episodes"
    return f"{bits}earns {np.mean(result.returns):.3f}, {result.steps_per_s:,.0f} steps/s"


class ProofBar(Bar):
    """A line on the terminal, and a line for each target that is done."""

    def tell(self, result: TargetResult) -> None:
        """See :class:`velora.proof.progress.Progress`."""
        self.say(f"{result.name:<12}{_told(result)}")
