"""What whole numbers cost: the same episodes, played by the agent and by its quantised policy."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.envs import EnvironmentSource
from velora.envs.actions import ActionBounds
from velora.envs.make import Env
from velora.export.quantise.calibration import Trace
from velora.export.quantise.model import Model
from velora.models.agent import Agent
from velora.ops.choice import Choice
from velora.training.evaluation import evaluate, reset_seeds
from velora.training.evaluation_environments import EvaluationEnvironments

EPISODES = 100
"""Episodes of a judgement by default: single ones turn out otherwise at any precision."""
OFF, PART = 5.0, 0.02
"""A return is off if it differs by more than so much, or by more than this part of the usual return if that is more."""
LIMIT, LIMIT_PART = 0.5, 0.01
"""What the median episode may lose by default: so much, or this part of the usual return if that is more."""
CHANCE = 0.1
"""Part of the episodes by which those that lose may outnumber those that gain, beyond two standard errors."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Returns of the same episodes in float32 and in whole numbers.

    Attributes:
        episodes: how many.
        usual: the median return in float32.
        difference: the median of the quantised return minus the other.
        mean_difference: their mean, which a few episodes decide.
        off_by: the difference from which on an episode counts as off.
        lost, gained: the parts of the episodes that are off, to either side.
        limit: what the median episode may lose.
    """

    episodes: int
    usual: float
    difference: float
    mean_difference: float
    off_by: float
    lost: float
    gained: float
    limit: float

    @property
    def off(self) -> float:
        """The part of the episodes that are off."""
        return self.lost + self.gained

    @property
    def costs_too_much(self) -> bool:
        """Return whether it loses more than it may: in the median, or in more episodes than chance explains."""
        chance = CHANCE + 2.0 * math.sqrt(self.off / self.episodes)
        return -self.difference > self.limit or self.lost - self.gained > chance

    def described(self) -> dict[str, Any]:
        """Return the numbers as JSON."""
        return {name: _short(value) for name, value in asdict(self).items()}


def judge(
    agent: Agent,
    model: Model,
    env: Env,
    *,
    episodes: int = EPISODES,
    seed: int | None = None,
    limit: float | None,
    on_episode: Callable[[], None] = lambda: None,
) -> Judgement:
    """Play the same episodes with an agent and its quantised policy.

    Args:
        env: environment; as many more as are of use are made beside it.
        seed: of the episodes; by default those of ``velora evaluate``.
        limit: what the median episode may lose; by default :data:`LIMIT`.
        on_episode: called after every episode, twice as often as there are ``episodes``.
    """
    seeds = reset_seeds(seed, episodes)
    policy = model.quantised.policy
    source = EnvironmentSource(env)
    lanes = EvaluationEnvironments(
        source, [env], n_seeds=1, obs_dim=policy.n_observations, shows_time=policy.reads_log_dt
    )
    with closing(lanes), lanes.opened(episodes) as envs:
        ours = evaluate(agent, envs, seeds, act=_Acting(model), on_episode=on_episode)[0]
        theirs = evaluate(agent, envs, seeds, on_episode=on_episode)[0]
    usual, differences = float(np.median(theirs)), ours - theirs
    off_by = max(OFF, PART * abs(usual))
    limit = max(LIMIT, LIMIT_PART * abs(usual)) if limit is None else limit
    return Judgement(
        episodes,
        usual,
        float(np.median(differences)),
        float(differences.mean()),
        off_by,
        float((differences < -off_by).mean()),
        float((differences > off_by).mean()),
        limit,
    )


class _Acting:
    """A quantised policy as ``agent.act``: normalised actions, states in float64, which holds all of 32 bits."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __call__(self, obs: Tensor, hidden: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        policy, readout = self._model.quantised.policy, self._model.quantised.readout
        seen = obs[0, :, : policy.n_observations].cpu().numpy()
        state = hidden[0].cpu().numpy().astype(np.int64)
        out, state = self._model.network(seen, state, dt[0].cpu().numpy())
        if policy.choice is Choice.LARGEST:
            action = np.argmax(out, 1)[:, None].astype(np.float32)
        else:
            action = out.astype(np.float32) / np.float32(1 << readout.bits)
        return torch.from_numpy(action)[None], torch.from_numpy(state.astype(np.float64))[None]


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Actions along episodes of the float policy, whose observations the quantised one follows with its own state.

    Attributes:
        steps: how many.
        mean, largest: difference of the actions, in their units; of discrete ones, the part that differs, and 1 or 0.
        span: what the widest action spans; of discrete ones 1.
        clipped: parts of the steps at which each input was limited.
    """

    steps: int
    mean: float
    largest: float
    span: float
    clipped: tuple[float, ...]

    def described(self) -> dict[str, Any]:
        """Return the numbers as JSON."""
        return {name: _short(value) for name, value in asdict(self).items()}


def follow(model: Model, trace: Trace) -> OpenLoop:
    """Compare the actions along a trace."""
    policy = model.quantised.policy
    given = actions_along(model, trace)
    difference = np.abs(given - trace.actions)
    span = 1.0
    if isinstance(policy.units, ActionBounds):
        low, high, _ = policy.units.arrays
        span = float((high - low).max())
    else:
        difference = (difference > 0).astype(float)
    clipped = tuple((model.clipped / len(trace)).tolist())
    return OpenLoop(len(trace), float(difference.mean()), float(difference.max()), span, clipped)


def actions_along(model: Model, trace: Trace) -> NDArray[Any]:
    """Return the actions along a trace, (T, n_actions), the state carried by the model; clipping is counted anew."""
    model.clipped[:] = 0
    actions, state = [], model.begin(1)
    for obs, dt, starts in zip(trace.obs, trace.dt, trace.starts, strict=True):
        state = model.begin(1) if starts else state
        action, state = model.step(obs[None], state, dt[None])
        actions.append(action[0])
    return np.array(actions)


def _short(value: Any) -> Any:
    """Round to five digits."""
    if isinstance(value, tuple | list):
        return [_short(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
