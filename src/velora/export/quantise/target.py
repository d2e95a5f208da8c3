"""The target ``to=c`` in whole numbers: ``dtype=int8``, and ``dtype=int16`` for weights of 16 bits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from velora.core.errors import ExportError
from velora.envs import Environments
from velora.envs.make import Env
from velora.export.c.target import write_files
from velora.export.policy import Policy
from velora.export.quantise import calibration, judging
from velora.export.quantise.calibration import Trace, calibration_seeds, live
from velora.export.quantise.description import Quantised
from velora.export.quantise.environment import open_environment
from velora.export.quantise.files import c_files
from velora.export.quantise.heads import check
from velora.export.quantise.judging import Judgement, OpenLoop, follow, judge
from velora.export.quantise.making import Choices, quantise
from velora.export.quantise.model import Model
from velora.export.quantise.scaling import MARGIN
from velora.export.targets import Options

FRESH = 3
"""Episodes, other than those of calibration, along which the actions are compared."""
BITS = {"int8": 8, "int16": 16}


def write_quantised(policy: Policy, out: Path, options: Options) -> Mapping[str, str]:
    """Calibrate a policy on episodes of its environment, judge it, and write it as C99 in whole numbers.

    Args:
        out: directory that is made.
        options: ``episodes`` and ``seed`` of the calibration, ``judge``, the episodes of the judgement, ``limit``, and
            ``env``, the id of another environment.

    Raises:
        ExportError: if there are no episodes to calibrate with, a layer has no form in whole numbers, or that costs
            more return than ``limit``.
    """
    check(policy)
    episodes, seed = _whole(options, "episodes", calibration.EPISODES, 1), _whole(options, "seed", 0, 0)
    n_judged, limit = _whole(options, "judge", judging.EPISODES, 0), _limit(options)
    env, progress = open_environment(options.agent, options.given.get("env")), options.progress
    try:
        progress.begin("calibrating", episodes + FRESH, "episode")
        envs = Environments([env], obs_dim=policy.n_observations)
        trace = live(policy, envs, calibration_seeds(seed, episodes), seed=seed, on_episode=progress.advance)
        fresh = live(policy, envs, calibration_seeds(seed + 1, FRESH), noise=0.0, on_episode=progress.advance)
        progress.begin("rounding", 1)
        quantised = quantise(policy, trace, Choices(BITS[options.dtype]))
        model = Model(quantised)
        along = follow(model, fresh)
        judged = None
        if n_judged:
            progress.begin("judging", 2 * n_judged, "episode")
            judged = judge(options.agent, model, env, episodes=n_judged, limit=limit, on_episode=progress.advance)
    finally:
        env.close()
    notes = _notes(quantised, along, judged)
    if judged is not None and judged.costs_too_much:
        raise ExportError(_refusal(options.dtype, judged, along))
    said = _described(quantised, trace, along, judged, {"seed": seed, "episodes": episodes, "environment": _name(env)})
    files = {**c_files(quantised, trace), "calibration.json": json.dumps(said, indent=2) + "\n"}
    write_files(files, out)
    return notes


def _whole(options: Options, name: str, usual: int, least: int) -> int:
    text = options.given.get(name)
    if text is None:
        return usual
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        what = " (a calibration without data says nothing)" if name == "episodes" else ""
        raise ExportError(f"{name}: expected a whole number of at least {least}, got {text!r}{what}")
    return value


def _limit(options: Options) -> float | None:
    text = options.given.get("limit")
    try:
        value = None if text is None else float(text)
    except ValueError:
        value = -1.0
    if value is not None and not value >= 0.0:
        raise ExportError(f"limit: expected what the median episode may lose, a number of at least 0, got {text!r}")
    return value


def _name(env: Env) -> str:
    return "" if env.spec is None else str(env.spec.id)


def _notes(quantised: Quantised, along: OpenLoop, judged: Judgement | None) -> dict[str, str]:
    notes = {"actions": f"off by {along.mean:.3g} in the mean, {along.largest:.3g} at most, of {along.span:g}"}
    if judged is not None:
        notes["return"] = (
            f"{judged.difference:+.3g} in the median of {judged.episodes} paired episodes (usual return "
            f"{judged.usual:.5g}); {judged.off:.0%} off by more than {judged.off_by:.3g}"
        )
    if max(along.clipped) > 0.0:
        number = max(range(len(along.clipped)), key=along.clipped.__getitem__)
        notes["clipped"] = f"input {number} at {along.clipped[number]:.1%} of the steps; more episodes= widen its range"
    if quantised.policy.reads_dt:
        span = f"from {quantised.shortest_dt:.3g} to {quantised.longest_dt:.5g} control steps"
        notes["dt"] = f"{span} in whole numbers; what is below or above counts as that"
    return notes


def _refusal(dtype: str, judged: Judgement, along: OpenLoop) -> str:
    other = "dtype=int16 or float32" if dtype == "int8" else "dtype=float32"
    return (
        f"dtype={dtype}: costs {-judged.difference:.3g} of return in the median of {judged.episodes} paired episodes "
        f"(usual return {judged.usual:.5g}, limit {judged.limit:.3g}), and {judged.lost:.0%} of them lose more than "
        f"{judged.off_by:.3g} where {judged.gained:.0%} gain; actions are off by {along.mean:.3g} of {along.span:g} in "
        f"the mean; take {other}, calibrate with more episodes=, or allow a larger limit="
    )


def _described(
    quantised: Quantised, trace: Trace, along: OpenLoop, judged: Judgement | None, asked: Mapping[str, Any]
) -> dict[str, Any]:
    inputs = [
        {"least": low, "most": high, "middle": float(middle), "per_unit": float(factor)}
        for low, high, middle, factor in zip(
            [float(f"{v:.6g}") for v in trace.obs.min(0)],
            [float(f"{v:.6g}") for v in trace.obs.max(0)],
            quantised.inputs.middle,
            quantised.inputs.factor,
            strict=False,
        )
    ]
    return {
        "format": 1,
        "calibration": {
            **asked,
            "steps": len(trace),
            "noise": calibration.NOISE,
            "margin": MARGIN,
            "longest_dt": float(trace.dt.max()),
            "inputs": inputs,
        },
        "weight_bits": quantised.weight_bits,
        "state_bits": [layer.state_bits for layer in quantised.layers],
        "dt": {"shortest": quantised.shortest_dt, "longest": quantised.longest_dt},
        "actions": along.described(),
        "return": None if judged is None else judged.described(),
    }
