"""The report at a run's end: status, length, returns of its seeds, and the commands to go on with."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from velora.checkpoint.layout import CHECKPOINTS, seed_directory
from velora.cli.command.arguments import written
from velora.cli.run import resume, trust
from velora.cli.settings import budget
from velora.cli.settings.objects import saves
from velora.core.terminal import say
from velora.core.types import Evaluation
from velora.metrics import queries
from velora.training.result import TrainResult


def final_evaluations(result: TrainResult) -> list[Evaluation]:
    """Return the newest evaluation of every seed, in the order of the seed axis."""
    newest = {evaluation.seed_index: evaluation for evaluation in result.evaluations}
    return [newest[k] for k in sorted(newest)]


def report(cfg: DictConfig, run: Path, result: TrainResult, seeds: Sequence[int]) -> None:
    """Print the report.

    Args:
        run: the run's directory, as people see it from where they began it.
    """
    evaluations = final_evaluations(result)
    lines = [
        f"run       {run}",
        f"ended     {_ended(result)}",
        f"trained   {_trained(evaluations)}",
        f"return    {_return(evaluations)}",
    ]
    best = _better(cfg, result, evaluations, seeds)
    if len(seeds) > 1:
        lines += ["", *_table(evaluations, result, seeds, best), ""]
    elif best:
        one = best[0]
        at = f"{counted([one.episode], 'episode')}, {counted([one.step], 'step')}"
        lines.append(f"best      {_return([one])}, after {at}")
    lines += _next_commands(cfg, run, result, evaluations, seeds, best)
    say("\n".join(lines) + "\n")


def _better(
    cfg: DictConfig, result: TrainResult, evaluations: Sequence[Evaluation], seeds: Sequence[int]
) -> dict[int, Evaluation]:
    """Find the seeds, by position, whose ``best/`` isn't the agent that is ``final/``, and what it earned."""
    if result.run_dir is None or not saves(cfg.checkpoint):
        return {}
    found = {}
    for last in evaluations:
        if not (_home(result.run_dir, seeds, last.seed_index) / "best").is_dir():
            continue
        rows = queries.evaluations(result.run_dir, seed=seeds[last.seed_index])
        best = max(
            (row for row in rows if math.isfinite(row.mean)), key=lambda row: (row.mean, -row.step), default=None
        )
        if best is not None and best.step != last.step:
            found[last.seed_index] = Evaluation(last.seed_index, best.step, best.episode, best.returns)
    return found


def _home(run: Path, seeds: Sequence[int], seed_index: int) -> Path:
    """Return where the checkpoints of a seed are."""
    home = run / CHECKPOINTS
    return home if len(seeds) == 1 else seed_directory(home, seeds[seed_index])


def can_go_on(cfg: DictConfig) -> bool:
    """Return whether the run saves enough to be resumed: a checkpoint with the replay buffer."""
    return bool(cfg.checkpoint.buffer and saves(cfg.checkpoint))


def counted(numbers: Iterable[int], noun: str) -> str:
    """Write one count with its noun, or the smallest and the largest of several."""
    low, high = min(known := list(numbers)), max(known)
    return (f"{low:,}" if low == high else f"{low:,} to {high:,}") + f" {noun}" + ("" if low == high == 1 else "s")


def _ended(result: TrainResult) -> str:
    n_stopped = sum(reason is not None for reason in result.stop_reasons) - len(result.lost)
    of_all = f"of {len(result.stop_reasons)} seeds"
    if not any(result.steps):
        return f"{result.status}: there was nothing left to train"
    stopped = [f"{n_stopped} {of_all} were stopped by a callback"] if n_stopped else []
    stopped += [f"{len(result.lost)} {of_all} met NaN or infinity"] if result.lost else []
    if stopped:
        return f"{result.status}: {', '.join(stopped)}"
    return result.status + (f": {result.stop_reason}" if result.stop_reason else "")


def _trained(evaluations: Sequence[Evaluation]) -> str:
    episodes = counted((e.episode for e in evaluations), "episode")
    steps = counted((e.step for e in evaluations), "step")
    return f"{episodes}, {steps}" if len(evaluations) == 1 else f"{len(evaluations)} seeds, each {episodes}, {steps}"


def _return(evaluations: Sequence[Evaluation]) -> str:
    episodes = counted([len(evaluations[0].returns)], "evaluation episode")
    if len(evaluations) == 1:
        return f"{evaluations[0].mean:.1f} ± {np.std(evaluations[0].returns):.1f} over {episodes}"
    means = [evaluation.mean for evaluation in evaluations]
    return f"{np.mean(means):.1f} ± {np.std(means):.1f} over {len(means)} seeds, each over {episodes}"


def _table(
    evaluations: Sequence[Evaluation], result: TrainResult, seeds: Sequence[int], best: Mapping[int, Evaluation]
) -> list[str]:
    """List the result of each seed, as lines of a table; that of ``best/`` where it isn't ``final/``."""
    reasons = result.stop_reasons or [None] * len(seeds)
    lines = [f"{'seed':>10}  {'episodes':>8}  {'steps':>10}  {'return':>10}"]
    for e in evaluations:
        seed, reason, better = seeds[e.seed_index], reasons[e.seed_index], best.get(e.seed_index)
        earned = f"{e.mean:>10.1f} ± {np.std(e.returns):.1f}"
        earned += "" if better is None else f"   best: {better.mean:.1f} after {counted([better.step], 'step')}"
        earned += "" if reason is None else f"   stopped: {reason}"
        lines.append(f"{seed:>10}  {e.episode:>8,}  {e.step:>10,}  {earned}")
    told = {e.seed_index for e in evaluations}
    lines += [f"{seeds[k]:>10}  stopped: {reasons[k]}" for k in result.lost if k not in told]
    return lines


def _next_commands(
    cfg: DictConfig,
    run: Path,
    result: TrainResult,
    evaluations: Sequence[Evaluation],
    seeds: Sequence[int],
    best: Mapping[int, Evaluation],
) -> list[str]:
    lines: list[str] = []
    own = dict((*trust.foreign_code(cfg), *trust.foreign_places(cfg, run)))  # a checkpoint decides none of these
    more = [written(name, value) for name, value in own.items() if name.startswith(("agent.", "env."))]
    sound = [e for e in evaluations if e.seed_index not in result.lost]
    for name, found in (("final", sound if cfg.checkpoint.final else []), ("best", list(best.values()))):
        if found:
            seed_index = max(found, key=lambda evaluation: evaluation.mean).seed_index
            where = written("checkpoint", str(_home(run, seeds, seed_index) / name))
            lines.append(f"{'' if lines else 'evaluate':10}velora evaluate {' '.join([where, *more])}")
    if len(seeds) > 1:
        lines.append(f"plot      velora plot {shlex.quote(str(run))}")
    reasons = result.stop_reasons or [None]
    going_on = [e for e in evaluations if len(seeds) == 1 or reasons[e.seed_index] is None]
    if can_go_on(cfg) and going_on:
        used = {"episode": max(e.episode for e in going_on), "step": max(e.step for e in going_on)}
        lines.append(f"go on     {resume.command(run, cfg, budget.doubled(cfg, **used))}")
    return lines
