"""Bring observations and rewards to one size, with running statistics of what each seed has met in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.buffers import Batch, ReplayBuffer, Rollout
from velora.buffers.columns import CRITICS
from velora.buffers.replay import Windows
from velora.core.types import Array
from velora.kernels.arrays.namespace import Values
from velora.models.settings import LiquidSettings
from velora.models.standardising import MOST, Doubles, RunningStatistics, Standardiser, there


class Normaliser:
    """Normalise observations by their mean and deviation, rewards by the deviation of the discounted return.

    Both end within [-10, 10]. The statistics are those of training alone, of each seed by itself: of the observations
    that it has acted from, and of what the rewards of an episode have summed up to at each of its steps, discounted by
    time. Buffers keep everything as the environment gave it; what is learned from is normalised with the statistics of
    that moment. The time in an observation is left as it is.

    Shapes:
        running: (S, E) float64, the sum of the running episode in each environment.

    Args:
        n_seeds: agents side by side (S).
        n_envs: environments of each (E).
        state_dim: numbers in an observation (O), without the time.
        obs: whether observations are normalised.
        returns: whether rewards are.
        gamma: discount per control step.
        privileged: numbers that critics read besides (P), which are normalised as observations are.

    Source:
        ``NormalizeObservation`` and ``NormalizeReward`` of Gymnasium, ``VecNormalize`` of Stable-Baselines3, which
        normalises replayed batches as here. Differs: an episode's last observation, which nothing is done from, isn't
        counted; the sum begins anew with an episode however the one before ended.
    """

    def __init__(
        self,
        n_seeds: int,
        state_dim: int,
        *,
        n_envs: int = 1,
        obs: bool,
        returns: bool,
        gamma: float,
        privileged: int = 0,
    ) -> None:
        self.state_dim, self._gamma, self._n_privileged = state_dim, gamma, privileged
        self._obs = Standardiser(n_seeds, state_dim) if obs else None
        self._privileged = Standardiser(n_seeds, privileged) if obs and privileged else None
        self._returns = RunningStatistics(n_seeds, 1) if returns else None
        self.running: Doubles = np.zeros((n_seeds, n_envs))
        self._reward_factor = np.ones((n_seeds, 1, 1), np.float32)
        self._scales_rewards = torch.from_numpy(self._reward_factor)  # the same memory
        self.refresh()

    # --------------------------------------------------------------------------------------------------- statistics

    @np.errstate(all="ignore")
    def count_observations(self, rows: Sequence[int], obs: Array) -> None:
        """Count what some seeds have acted from.

        Shapes:
            obs: (len(rows), T, O), with the time or without.
        """
        if self._obs is not None:
            self._obs.count(rows, obs[:, :, : self.state_dim])

    @np.errstate(all="ignore")
    def count_privileged(self, rows: Sequence[int], seen: Array) -> None:
        """Count what their critics could read there.

        Shapes:
            seen: (len(rows), T, P), or with the observation before them, (len(rows), T, O + P).
        """
        if self._privileged is not None:
            self._privileged.count(rows, seen[:, :, -self._n_privileged :])

    @np.errstate(all="ignore")
    def count_rewards(self, rows: Sequence[int], reward: Array, dt: Array, start: Array) -> None:
        """Count what some seeds have earned.

        Shapes:
            reward, dt, start: (len(rows), E, T), as :class:`velora.buffers.Rollout` has them, step after step.
        """
        if self._returns is None:
            return
        where: Any = slice(None) if len(rows) == len(self.running) else list(rows)
        kept = (1.0 - start) * self._gamma ** np.asarray(dt, np.float64)
        sums, running = np.empty(reward.shape), self.running[where]
        for t in range(reward.shape[2]):
            running = sums[:, :, t] = running * kept[:, :, t] + reward[:, :, t]
        self.running[where] = running
        self._returns.add(rows, sums.reshape(len(sums), -1, 1))
        self._reward_factor[:, 0] = self._returns.factor

    @np.errstate(all="ignore")
    def refresh(self) -> None:
        """Normalise with the statistics as they are now."""
        for numbers in (self._obs, self._privileged):
            if numbers is not None:
                numbers.refresh()
        if self._returns is not None:
            self._reward_factor[:, 0] = self._returns.factor

    def tensors(self) -> dict[str, Tensor]:
        """Name the statistics, (S, ...) float64, as a checkpoint does; they are the live ones."""
        named: dict[str, Doubles] = {}
        seen = {"obs": self._obs, "privileged": self._privileged}
        every = {name: one.statistics for name, one in seen.items() if one is not None}
        for name, kept in (*every.items(), ("return", self._returns)):
            if kept is not None:
                named |= {f"{name}_mean": kept.mean, f"{name}_variance": kept.variance, f"{name}_count": kept.count}
        if self._returns is not None:
            named["return_running"] = self.running
        return {name: torch.from_numpy(values) for name, values in named.items()}

    # -------------------------------------------------------------------------------------------------- normalising

    @property
    def applied(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Return mean and factor of observations, (S, O) each; ``None`` where observations are taken as they are."""
        return None if self._obs is None else (self._obs.middle[:, 0, 0], self._obs.factor[:, 0, 0])

    def observations(self, obs: Tensor) -> Tensor:
        """Return observations (S, B, O) normalised."""
        seen = obs.clone()
        self.fit_observations(seen.unsqueeze(2))
        return seen

    def fit(self, batch: Batch | Rollout) -> None:
        """Normalise what is learned from, in its memory."""
        self.fit_observations(batch.obs)
        self.fit_observations(batch.next_obs)
        if self._privileged is not None:
            for seen in (batch.critic_obs, batch.next_critic_obs):  # whose beginning is the memory of the observations
                self._privileged.fit(seen[..., -self._n_privileged :])
        if self._returns is not None:
            batch.reward.mul_(there(self._scales_rewards, batch.reward)).clamp_(-MOST, MOST)

    def fitted(self, rollout: Rollout) -> Rollout:
        """Return a rollout normalised, and leave that one as it is."""
        own = {"reward": rollout.reward.clone()}
        for name, obs in CRITICS.items() if self._obs is not None else ():
            own[name] = seen = getattr(rollout, name).clone()
            own[obs] = seen if self._privileged is None else seen[..., : -self._n_privileged]
        rollout = Rollout(**{name: own.get(name, getattr(rollout, name)) for name in Rollout.__slots__})
        self.fit(rollout)
        return rollout

    def fit_observations(self, obs: Tensor) -> None:
        """Normalise observations (S, B, T, O) in their memory, but not the time beside them."""
        if self._obs is not None:
            self._obs.fit(obs[..., : self.state_dim])


def make_normaliser(settings: LiquidSettings, n_seeds: int, n_envs: int) -> Normaliser | None:
    """Make the normaliser that an agent's settings ask for, or ``None``."""
    obs, returns = settings.normalize_obs, settings.normalize_returns
    if not (obs or returns):
        return None
    return Normaliser(
        n_seeds,
        settings.state_dim,
        n_envs=n_envs,
        obs=obs,
        returns=returns,
        gamma=settings.gamma,
        privileged=settings.privileged,
    )


def find_fault(statistics: Mapping[str, Tensor]) -> str | None:
    """Return why saved statistics are impossible, in one line, or ``None`` if they are valid."""
    for name, tensor in statistics.items():
        if name.endswith(("_variance", "_count")) and bool((tensor < 0.0).any()):
            return f"{name}: expected numbers of at least 0, found {float(tensor.min())}"
    return None


class NormalisedReplay:
    """Normalised windows of a replay buffer, for recorded updates.

    A program reads its batch from memory that stays where it is. So the windows are read and normalised there before it
    is started, outside of it, by the thread that starts it: no kernel knows of it, and no statistics change meanwhile.

    Args:
        buffer: keeps them as they were.
        normaliser: of the same seeds.
    """

    def __init__(self, buffer: ReplayBuffer, normaliser: Normaliser) -> None:
        self._buffer, self._normaliser = buffer, normaliser
        self._memory: dict[tuple[int, int], Windows] = {}

    def read(self, uniform: Values, length: int, device: torch.device) -> None:
        """Read the windows that ``uniform`` (S, B) chooses, for the programs that were recorded with :meth:`gather`."""
        key = uniform.shape[1], length
        if key not in self._memory:
            self._memory[key] = self._buffer.windows(uniform, length, device)
        windows = self._memory[key]
        windows.read()
        self._normaliser.fit(windows.batch)

    def gather(self, uniform: Values, length: int, device: torch.device) -> Batch:
        """Return where :meth:`read` has put such windows, and will; see :class:`velora.buffers.ReplayBuffer`."""
        return self._memory[uniform.shape[1], length].batch
