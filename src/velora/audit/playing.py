"""Episodes under treatments: neurons removed, observations disturbed, decisions rarer, a clock that isn't told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velora.audit.batch import Batch, Floats
from velora.core import seeding
from velora.envs import Environments, EnvironmentSource
from velora.envs.clock import NOMINAL_DT
from velora.envs.make import Env
from velora.envs.spaces import observation_size
from velora.export.policy import Policy
from velora.training.evaluation_environments import MOST_AT_ONCE, EvaluationEnvironments


@dataclass(frozen=True, slots=True)
class Treatment:
    """Treatment of a policy in an episode; none by default.

    Attributes:
        removed: neurons, by their place among a trace's activities.
        noise: deviation of normal noise on every number of an observation, as a share of that number's own deviation in
            undisturbed episodes.
        dropout: probability that a step shows the observation of the step before instead of its own.
        every: steps between two decisions; the action is held meanwhile.
        tells_time: whether the policy is told how long that was; else it is told 1.
    """

    removed: tuple[int, ...] = ()
    noise: float = 0.0
    dropout: float = 0.0
    every: int = 1
    tells_time: bool = True


def play(
    policy: Policy,
    env: Env,
    treatments: Sequence[Treatment],
    reset_seeds: Sequence[int],
    *,
    spread: Floats,
    max_steps: int,
    on_episode: Callable[[], object] = lambda: None,
) -> Floats:
    """Play every episode under every treatment, in float64, many side by side; return what each earns.

    Noise and dropout of an episode come from its reset seed, the same for every treatment: their draws are paired too.

    Shapes:
        spread: (n_observations,), deviation of each number of an observation.
        returns: (treatments, episodes).

    Args:
        env: that the episodes are played in, or in copies of it; closed by whoever made it.
        max_steps: an episode that is so long is cut.
        on_episode: called when one has ended.
    """
    jobs = [(t, e) for t in range(len(treatments)) for e in range(len(reset_seeds))]
    size = observation_size(env)
    side_by_side = EvaluationEnvironments(EnvironmentSource(env), [env], n_seeds=1, obs_dim=size)
    returns = np.zeros((len(treatments), len(reset_seeds)))
    with closing(side_by_side), side_by_side.opened(min(len(jobs), MOST_AT_ONCE)) as envs:
        lanes = _Lanes(policy, envs, spread)
        waiting = jobs[::-1]

        def begin(at: int) -> None:
            if waiting:
                treatment, episode = waiting.pop()
                lanes.begin(at, (treatment, episode), treatments[treatment], reset_seeds[episode])

        for at in range(len(envs)):
            begin(at)
        while lanes.playing:
            for at in lanes.step(max_steps):
                returns[lanes.playing.pop(at)] = lanes.earned[at]
                on_episode()
                begin(at)
    return returns


class _Lanes:
    """Episodes side by side, each under a treatment of its own."""

    def __init__(self, policy: Policy, envs: Environments, spread: Floats) -> None:
        n = len(envs)
        self._batch, self._envs, self._spread = Batch(policy), envs, spread
        self.playing: dict[int, tuple[int, int]] = {}
        self.earned = np.zeros(n)
        self._treated = [Treatment()] * n
        self._chance = [np.random.default_rng()] * n
        self._removed = np.zeros((n, self._batch.n_neurons), bool)
        self._shown = np.zeros((n, policy.n_observations))
        self._state, self._since, self._length = np.zeros((n, policy.n_state)), np.ones(n), np.zeros(n, np.int64)
        self._action: NDArray[np.float64] | None = None

    def begin(self, at: int, job: tuple[int, int], treatment: Treatment, reset_seed: int) -> None:
        """Begin an episode in a lane."""
        self._envs.reset(at, seed=reset_seed)
        self.playing[at], self._treated[at] = job, treatment
        self._chance[at] = seeding.generator(reset_seed, "audit")
        self._removed[at] = False
        self._removed[at, list(treatment.removed)] = True
        self._batch.remove(self._removed)
        self._state[at], self._since[at], self._length[at], self.earned[at] = 0.0, NOMINAL_DT, 0, 0.0

    def step(self, max_steps: int) -> list[int]:
        """Take a step in every lane; return those whose episodes have ended."""
        deciding = [at for at in self.playing if self._length[at] % self._treated[at].every == 0]
        if deciding:
            self._decide(deciding)
        assert self._action is not None
        ended = []
        for at in self.playing:
            action = self._action[at]
            step = self._envs.step(at, np.int64(action) if action.ndim == 0 else action.astype(np.float32))
            self.earned[at] += step.reward
            self._length[at] += 1
            self._since[at] += step.dt
            if step.terminated or step.truncated or self._length[at] >= max_steps:
                ended.append(at)
        return ended

    def _decide(self, lanes: list[int]) -> None:
        for at in lanes:
            self._look(at)
        told = [self._since[at] if one.tells_time else NOMINAL_DT for at, one in enumerate(self._treated)]
        action, state = self._batch.step(self._shown, self._state, np.array(told))
        if self._action is None:
            self._action = action.copy()
        self._action[lanes], self._state[lanes], self._since[lanes] = action[lanes], state[lanes], 0.0

    def _look(self, at: int) -> None:
        """Show a lane its observation, as its treatment lets it through."""
        treatment, n = self._treated[at], self._shown.shape[1]
        noise, lost = self._chance[at].standard_normal(n), self._chance[at].random() < treatment.dropout
        if not (lost and self._length[at] > 0):
            self._shown[at] = self._envs.obs[at, :n] + treatment.noise * self._spread * noise
