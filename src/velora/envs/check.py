"""A look at an environment before training: what an agent sees and gives, and what would go wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np

from velora.core.errors import SettingError, SpaceError, VeloraError
from velora.core.types import Action
from velora.envs import layers, statistics
from velora.envs.action_spaces import acting_space, is_discrete
from velora.envs.actions import ActionUnits, DiscreteActions
from velora.envs.clock import NOMINAL_DT
from velora.envs.description import describe
from velora.envs.flat import Flattened
from velora.envs.images import image_settings
from velora.envs.layers import Env
from velora.envs.make import EnvironmentSource, EnvLike
from velora.envs.played import Episode, FaultError, difference, play, played_again
from velora.envs.remarks import cautions, span
from velora.envs.said import unsaid
from velora.envs.spaces import check_spaces, dimensions
from velora.envs.vector import Environments

MOST_EPISODES = 10
_DRAW = "draw everything random from self.np_random, which super().reset(seed=seed) seeds"


@dataclass(slots=True)
class Report:
    """What was found.

    Attributes:
        facts: name and text of each.
        problems: what training would fail at, or go wrong with.
        cautions: what is worth a second look; training works.
        is_discrete: whether actions are choices.
    """

    facts: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)
    is_discrete: bool = False


def check_environment(env: EnvLike, *, seed: int = 0, steps: int = 1_000) -> Report:
    """Play an environment with random actions, and report what an agent will meet.

    Every answer is checked as in training. The first episode is played three times: anew, after others, and in a
    copy; a resume relies on the same seed and actions leading to the same answers.

    Args:
        env: as ``agent.train`` takes it.
        seed: of actions and of the first episode; the next ones have the next numbers.
        steps: steps to take in all episodes together, of which there are ten at most.

    Raises:
        SpaceError: if it can't be made, or what was passed is no environment.
        SettingError: if ``steps`` is below 1.

    Example:
        >>> report = check_environment("CartPole-v1", steps=50)
        >>> report.problems, dict(report.facts)["puts out"]
        ([], 'one of 2 actions, numbered from 0')
    """
    if steps < 1:
        raise SettingError(f"steps: expected at least 1, got {steps}")
    report, source = Report(), EnvironmentSource(env)
    made, is_ours = source.first()
    try:
        _look(made, report)
        try:
            obs_dim, action_dim = dimensions(made)
            report.is_discrete = is_discrete(made)
            units = check_spaces(made, state_dim=obs_dim, action_dim=action_dim, discrete=report.is_discrete)
        except SpaceError as error:
            report.problems.append(str(error))
        else:
            _say_actions(units, made, report)
            _try(made, source, report, _chooser(units, action_dim, seed), obs_dim, seed, steps)
        report.cautions += [f"a checkpoint can't hold {one}" for one in unsaid(describe(made))]
    finally:
        if is_ours:
            made.close()
    return report


def _look(env: Env, report: Report) -> None:
    """Note what can be said without a step."""
    base = layers.base(env)
    around = [layer for layer in layers.taken_apart(env).own if type(layer) is not Flattened]
    kind = f"{type(base).__module__}.{type(base).__qualname__}"
    report.facts.append(("class", " in ".join([kind, *(type(layer).__name__ for layer in around)])))
    seen = env.env.observation_space if type(env) is Flattened else env.observation_space
    size = env.observation_space.shape[0] if env.observation_space.shape else 0
    report.facts.append(("observations", _text(seen)))
    image = image_settings(env)
    if image:
        sees = f"images {image['image']}, through a small convolutional encoder"
    elif type(env) is Flattened:
        sees = f"{_counted(size, 'number')}: {_laid_out(seen)}"
    else:
        sees = f"{_counted(size, 'number')}, as given"
    report.facts.append(("agent sees", sees))
    report.facts.append(("actions", _text(acting_space(env))))


def _laid_out(space: Any) -> str:
    """Say which numbers of the vector come from which part of a space."""
    if isinstance(space, gym.spaces.Dict | gym.spaces.Tuple):
        parts = space.spaces.items() if isinstance(space, gym.spaces.Dict) else enumerate(space.spaces)
        return ", ".join(f"{name} ({_laid_out(part)})" for name, part in parts)
    size, kind = gym.spaces.flatdim(space), type(space).__name__
    if isinstance(space, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
        return f"{size}, one-hot"
    return f"{size}, row by row" if len(space.shape or ()) > 1 else f"{size} of a {kind}"


def _say_actions(units: ActionUnits, env: Env, report: Report) -> None:
    if isinstance(units, DiscreteActions):
        said = f"one of {units.n} actions, numbered from {units.first}"
    else:
        box = acting_space(env)
        low, high = (_numbers(bound) for bound in (box.low, box.high))
        said = f"{_counted(box.shape[0], 'number')} in [-1, 1], scaled to {low} ... {high}"
    report.facts.append(("puts out", said))
    limit = layers.taken_apart(env).time_limit
    report.facts.append(("time limit", "none" if limit is None else f"{limit:,} steps"))


def _chooser(units: ActionUnits, action_dim: int, seed: int) -> Callable[[], Action]:
    draws = np.random.default_rng(seed)

    def choose() -> Action:
        if isinstance(units, DiscreteActions):
            return np.int64(draws.integers(units.n) + units.first)
        return units.to_environment(draws.uniform(-1.0, 1.0, action_dim))

    return choose


def _try(
    env: Env,
    source: EnvironmentSource,
    report: Report,
    choose: Callable[[], Action],
    obs_dim: int,
    seed: int,
    steps: int,
) -> None:
    """Play episodes, and the first of them again; stop at the first fault."""
    envs, before = Environments([env], obs_dim=obs_dim), statistics.kept(env)
    episodes: list[Episode] = []
    try:
        left = steps
        while left > 0 and len(episodes) < MOST_EPISODES:
            episodes.append(play(envs, seed + len(episodes), choose, at_most=left))
            left -= len(episodes[-1].actions)
        _say_episodes(episodes, report)
        boxed = isinstance(layers.base(env).observation_space, gym.spaces.Box)
        is_limited = layers.taken_apart(env).time_limit is not None
        report.cautions += cautions(episodes, shows_numbers=boxed, is_limited=is_limited)
        statistics.give(env, before)
        again = played_again(envs, episodes[0])
        _compare(episodes[0], again, _copies(source, before, episodes[0], obs_dim, report), report)
    except FaultError as error:
        report.problems.append(str(error))


def _copies(
    source: EnvironmentSource, before: statistics.Kept, first: Episode, obs_dim: int, report: Report
) -> list[Episode]:
    """Play the first episode in two copies that have lived through the same, if there can be copies."""
    played: list[Episode] = []
    for _ in range(2):
        try:
            made = source.make()
        except VeloraError as error:
            report.cautions.append(f"several seeds can't train side by side: {str(error).removeprefix('env: ')}")
            return []
        try:
            statistics.give(made, before)
            played.append(played_again(Environments([made], obs_dim=obs_dim), first))
        except FaultError as error:
            raise FaultError(f"in a copy: {error}") from error
        finally:
            source.release(made)
    return played


def _compare(first: Episode, again: Episode, in_copies: Sequence[Episode], report: Report) -> None:
    """Say whether seed and actions decide an episode."""
    parted = [text for other in (again, *in_copies) if (text := difference(first, other)) is not None]
    if not parted:
        n, where = len(first.actions), "after other episodes" + (", and in a copy" if in_copies else "")
        report.facts.append(("repeatable", f"yes: the same seed and {n:,} actions led to the same answers {where}"))
        return
    if in_copies and difference(*in_copies) is None:
        why = "an episode depends on those before it; let reset set everything back"
    elif in_copies:
        why = f"the seed doesn't decide everything; {_DRAW}"
    else:
        why = f"the seed doesn't decide everything, or earlier episodes do; {_DRAW}, and let reset set everything back"
    report.cautions.append(
        f"not repeatable: played again with seed {first.seed} and the same actions, {parted[0]}: {why}. Until then a "
        "run can't be resumed to the same bits"
    )


def _say_episodes(episodes: Sequence[Episode], report: Report) -> None:
    n_steps = sum(len(one.actions) for one in episodes)
    over = [one for one in episodes if one.is_over]
    lengths, rewards = [len(one.actions) for one in over], [r for one in episodes for r in one.rewards]
    if over:
        totals = [sum(one.rewards) for one in over]
        said = f"{len(over)} played at random: {span(lengths, ',')} steps, return {span(totals, '.1f')}"
        ended = {"terminated" if one.terminated else "truncated" for one in over}
        report.facts.append(("episodes", f"{said}; {' or '.join(sorted(ended))}"))
    report.facts.append(("rewards", f"{span(rewards, '.4g')} a step"))
    times = [one[-1] for episode in episodes for one in episode.answers[1:]]
    is_regular = all(dt == NOMINAL_DT for dt in times)
    report.facts.append(("time", "regular steps" if is_regular else f"a step takes {span(times, 'g')} control steps"))
    seconds = sum(one.seconds for one in episodes) / n_steps
    report.facts.append(("speed", f"{seconds * 1e3:.3g} ms a step, {1.0 / max(seconds, 1e-9):,.0f} steps a second"))


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def _numbers(bound: Any) -> str:
    """Write the bounds of an action: one number if all are the same."""
    values = np.asarray(bound).ravel()
    return f"{values[0]:g}" if (values == values[0]).all() else _text([round(float(value), 4) for value in values])


def _text(value: Any) -> str:
    said = " ".join(str(value).split())
    return said if len(said) <= 100 else f"{said[:100]}..."
