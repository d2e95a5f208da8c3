"""Let an agent act without noise or learning, and add up what it earns."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from velora.core import seeding
from velora.core.errors import NonFiniteError
from velora.core.seed_values import check_seed
from velora.core.types import Array
from velora.envs import Environments
from velora.envs.clock import NOMINAL_DT
from velora.envs.make import Env
from velora.training.protocol import TrainableAgent

Policy: TypeAlias = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes observations (S, B, O), recurrent states (S, B, H) and dt (S, B); returns actions (S, B, A) and states."""
OTHER_EPISODES = 2
"""Coordinate of reset seeds that somebody chooses: neither those of training (0) nor those of its evaluation (1)."""
MAX_STEPS = 100_000
"""Steps after which an episode of evaluation is cut, where the environment doesn't end it."""

log = logging.getLogger(__name__)


def evaluation_seeds(episodes: int) -> list[int]:
    """List the reset seeds of evaluation: the same for every run and every time, so that scores compare."""
    return [seeding.episode_seed(0, 1, number) for number in range(1, episodes + 1)]


def reset_seeds(seed: int | None, episodes: int) -> list[int]:
    """List the reset seeds of evaluation, or others that a seed decides.

    Raises:
        SettingError: if it is no seed.
    """
    if seed is None:
        return evaluation_seeds(episodes)
    check_seed(seed)
    return [seeding.episode_seed(seed, OTHER_EPISODES, number) for number in range(1, episodes + 1)]


def evaluate(
    agent: TrainableAgent,
    envs: Environments,
    reset_seeds: Sequence[int],
    *,
    seed_indices: Sequence[int] | None = None,
    act: Policy | None = None,
    max_steps: int = MAX_STEPS,
    tells_cut: bool = True,
    on_step: Callable[[], None] = lambda: None,
    on_episode: Callable[[], None] = lambda: None,
) -> Array:
    """Run one episode from each reset seed; all seeds of the agent face the same episodes.

    Every environment is the lane of one episode after another; all lanes act together. What a seed earns doesn't depend
    on which others are evaluated with it.

    Shapes:
        envs: S times as many as lanes, lane by lane within a seed.
        returns: (len(seed_indices), episodes), undiscounted returns.

    Args:
        seed_indices: positions on the seed axis to evaluate; ``None`` is all.
        act: what to follow; ``None`` is ``agent.act``.
        max_steps: an episode that is so long is cut, and counts as far as it went; a line says so.
        tells_cut: whether it does.
        on_step: called before every step; what it raises ends the evaluation.
        on_episode: called after every episode.
    """
    n_seeds, lanes = agent.n_seeds, len(envs) // agent.n_seeds
    returns = np.zeros((n_seeds, len(reset_seeds)))
    hidden = agent.initial_hidden(lanes)
    dt = np.full((n_seeds, lanes), NOMINAL_DT, np.float32)
    since = dt.reshape(-1)
    chosen = list(range(n_seeds)) if seed_indices is None else list(seed_indices)
    waiting = [list(enumerate(reset_seeds))[::-1] if k in chosen else [] for k in range(n_seeds)]
    playing, lengths, n_cut = dict[int, int](), [0] * len(envs), 0

    def begin(at: int) -> None:
        """Give a lane its next episode, if one is waiting."""
        playing.pop(at, None)
        queue = waiting[at // lanes]
        if queue:
            playing[at], reset_seed = queue.pop()
            envs.reset(at, seed=reset_seed)
            since[at], lengths[at] = NOMINAL_DT, 0

    for at in range(len(envs)):
        begin(at)
    while playing:
        on_step()
        obs = torch.from_numpy(envs.obs).to(agent.device).view(n_seeds, lanes, -1)
        action, hidden = (act or agent.act)(obs, hidden, torch.from_numpy(dt).to(agent.device))
        own = agent.bounds.to_environment(action.cpu().numpy().reshape(len(envs), -1)[list(playing)])
        envs.begin(zip(playing, own, strict=True))
        ended = []
        for (at, episode), in_units in zip(list(playing.items()), own, strict=True):
            step = envs.step(at, in_units)
            returns[at // lanes, episode] += step.reward
            since[at] = step.dt
            lengths[at] += 1
            is_over = step.terminated or step.truncated
            if is_over or lengths[at] >= max_steps:
                n_cut += not is_over
                begin(at)
                ended.append(at)
                on_episode()
        if ended:
            hidden = hidden.clone()
            hidden.view(len(envs), -1)[ended] = 0.0
    _tell_cut(n_cut if tells_cut else 0, len(chosen) * len(reset_seeds), max_steps)
    return returns[chosen]


def evaluate_sound(
    agent: TrainableAgent,
    envs: Environments,
    reset_seeds: Sequence[int],
    seed_indices: Sequence[int],
    *,
    max_steps: int,
    on_step: Callable[[], None],
    lose: Callable[[int, str], None],
) -> dict[int, Array]:
    """Do the same for seeds that may meet NaN or infinity, which the others know nothing of.

    Args:
        lose: called with each seed that did, and what it met.

    Returns:
        The returns (episodes,) of the others, by position on the seed axis.
    """
    try:
        returns = evaluate(agent, envs, reset_seeds, seed_indices=seed_indices, max_steps=max_steps, on_step=on_step)
        return dict(zip(seed_indices, returns, strict=True))
    except NonFiniteError as error:
        if error.environment is None and len(seed_indices) > 1:  # a choice among actions: whose, each alone will tell
            parts = [[k] for k in seed_indices]
        else:
            k = seed_indices[0] if error.environment is None else error.environment * agent.n_seeds // len(envs)
            lose(k, f"evaluation: {error}")
            parts = [[other for other in seed_indices if other != k]]
    found: dict[int, Array] = {}
    for part in filter(None, parts):
        found |= evaluate_sound(agent, envs, reset_seeds, part, max_steps=max_steps, on_step=on_step, lose=lose)
    return found


def _tell_cut(n_cut: int, n_episodes: int, max_steps: int) -> None:
    if n_cut:
        text = "evaluation: %d of %d episodes were cut after %s steps, since the environment did not end them"
        log.warning(text, n_cut, n_episodes, f"{max_steps:,}")


def tell_limit(env: Env, max_steps: int, *, setting: str) -> None:
    """Say how long an episode of evaluation may be, if the environment is registered without a time limit.

    Args:
        setting: what ``max_steps`` is called where it is chosen.
    """
    if (name := without_limit(env)) is not None:
        log.warning(
            "evaluation: %s has no time limit; an episode that does not end is cut after %s steps (%s)",
            name,
            f"{max_steps:,}",
            setting,
        )


def without_limit(env: Env) -> str | None:
    """Return the id of an environment that is registered without a time limit; ``None`` for any other one."""
    return env.spec.id if env.spec is not None and (env.spec.max_episode_steps or 0) < 1 else None
