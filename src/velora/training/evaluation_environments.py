"""The environments that an agent is evaluated in: copies of those it trains in, or else these themselves."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from velora.core.errors import SettingError
from velora.envs import Environments, EnvironmentSource, statistics
from velora.envs.layers import Env

log = logging.getLogger(__name__)

MOST_AT_ONCE, MOST_IN_ALL = 32, 256
"""Environments of one seed, and of all seeds together."""


class EvaluationEnvironments:
    """Make the environments of evaluation when they are first needed, keep them, and close them in the end.

    Where none can be made beside those of training, a training environment between two of its episodes serves all
    episodes of its seed in turn.

    Statistics that wrappers keep (:mod:`velora.envs.statistics`) are those of training at that time, and evaluation
    doesn't change them.

    Args:
        source: makes them.
        trained: the environments that are trained in, seed after seed.
        n_seeds: how many seeds these are of.
    """

    def __init__(
        self, source: EnvironmentSource, trained: Sequence[Env], *, n_seeds: int, obs_dim: int, shows_time: bool = False
    ) -> None:
        self._source, self._trained, self._n_seeds = source, list(trained), n_seeds
        self._obs_dim, self._shows_time = obs_dim, shows_time
        self._made: Environments | None = None
        self._drawing: Env | None = None
        self._is_alone = not source.is_repeatable

    @contextmanager
    def opened(self, episodes: int, resting: Mapping[int, int | None] | None = None) -> Iterator[Environments]:
        """Open environments for so many episodes of each seed.

        Args:
            resting: for each seed that is evaluated one of its environments, as a position in ``trained``, that is
                between two episodes; ``None`` if none is. By default the first of each seed.

        Raises:
            SettingError: if a training environment is needed, and none of its seed is between two episodes.
        """
        each = len(self._trained) // self._n_seeds
        resting = {k: k * each for k in range(self._n_seeds)} if resting is None else resting
        if self._made is None and not self._is_alone:
            self._made = self._make(episodes)
        if self._made is None:
            spares = self._spares(resting, each)
            with statistics.at_rest(spares):
                yield self._stepped(spares)
            return
        for at, env in enumerate(self._made.envs):
            k = at * self._n_seeds // len(self._made)
            statistics.give(env, statistics.kept(self._trained[resting.get(k) or k * each]))
            statistics.freeze(env)
        yield self._made

    def expect_changes(self, names: Iterable[str]) -> None:
        """Take environments for copies of those that are trained in even where these attributes differ."""
        self._source.changing.update(names)

    def drawing(self, seed_index: int) -> Env:
        """Return an environment that draws, beside all others, with the statistics of a seed's wrappers as they are.

        Raises:
            SpaceError: if there can't be one.
        """
        if self._drawing is None:
            self._drawing = self._source.make_drawing()
        statistics.give(self._drawing, statistics.kept(self._trained[seed_index * len(self._trained) // self._n_seeds]))
        statistics.freeze(self._drawing)
        return self._drawing

    def _make(self, episodes: int) -> Environments | None:
        """Make as many as there are episodes, or fewer; ``None`` if there can't be one for each seed."""
        lanes = max(1, min(episodes, MOST_AT_ONCE, MOST_IN_ALL // self._n_seeds))
        made: list[Env] = []
        try:
            while len(made) < self._n_seeds * lanes:
                made.append(self._source.make())
        except Exception as error:  # noqa: BLE001 - whatever the simulator raises is told
            kept = len(made) // self._n_seeds * self._n_seeds
            for env in made[kept:]:
                env.close()
            del made[kept:]
            self._is_alone = not made
            first_line = str(error).partition("\n")[0]
            log.warning(
                "evaluation: %s environment can be made beside those of training (%s: %s); %s",
                "no further" if made else "not every",
                type(error).__name__,
                first_line,
                f"{len(made)} serve in turn" if made else "these serve, between two episodes",
            )
        return self._stepped(made) if made else None

    def _spares(self, resting: Mapping[int, int | None], each: int) -> list[Env]:
        """Return one environment of each seed, that of a seed which isn't evaluated only to keep its place."""
        at = [resting.get(k, k * each) for k in range(self._n_seeds)]
        if any(one is None for one in at):
            raise SettingError(
                "evaluate: in an environment that can't be made again, evaluate between episodes only; register it "
                "with gymnasium.register, or train with a function that makes it"
            )
        return [self._trained[one] for one in at if one is not None]

    def _stepped(self, envs: list[Env]) -> Environments:
        return Environments(envs, obs_dim=self._obs_dim, shows_time=self._shows_time)

    def close(self) -> None:
        """Close what was made."""
        for env in self._made.envs if self._made else ():
            env.close()
        self._made = None
        if self._drawing is not None:
            self._source.release(self._drawing)
            self._drawing = None
