"""The innermost loop: act, step, store, learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from velora.core.types import Metrics, Transition
from velora.envs import Environments
from velora.envs.vector import NOMINAL_DT
from velora.training.hooks import HookTable
from velora.training.lane import Lane
from velora.training.protocol import TrainableAgent


class Loop:
    """Advance all seeds by one environment step at a time, and learn when that is due.

    Attributes:
        hidden: (S, 1, H), the recurrent state of every seed's running episode.
        metrics: what the newest update reported, as tensors (S,); empty before the first.
    """

    def __init__(
        self, agent: TrainableAgent, envs: Environments, lanes: Sequence[Lane], hooks: HookTable, *, batch_size: int
    ) -> None:
        self.agent, self.envs, self.lanes, self.hooks = agent, envs, lanes, hooks
        self.batch_size = batch_size
        self.hidden: Tensor = agent.initial_hidden()
        self.metrics: Metrics = {}
        self._dt = torch.full((agent.n_seeds, 1), NOMINAL_DT, device=agent.device)
        self._has_learned = any(lane.lived.update for lane in lanes)

    def step(self) -> None:
        """Take one step in every environment that still trains; begin the episodes that this needs.

        An episode that ends is left as it is, for the caller to close.
        """
        agent, lanes = self.agent, [lane for lane in self.lanes if not lane.done]
        for lane in lanes:
            if lane.running is None:
                self._begin_episode(lane)
        obs, before = self.envs.obs.copy(), self.hidden
        action, after = agent.explore(obs, before, self._dt, random=agent.is_warming_up())
        in_units = agent.bounds.to_environment(action)
        stored = before.squeeze(1).cpu().numpy()
        for lane in lanes:
            self._step_lane(lane, obs, action, in_units, stored)
        self.hidden = after
        if self.hooks.on_env_step:
            self._report_step(obs, action)
        if agent.is_learning_due(self.batch_size):
            self._learn(lanes)

    def _begin_episode(self, lane: Lane) -> None:
        self.envs.reset(lane.seed_index, seed=lane.next_reset_seed)  # first: it may fail, and nothing has begun then
        episode = lane.begin()
        self.hidden = self.hidden.clone()
        self.hidden[lane.seed_index] = 0.0
        self.agent.begin_episode(lane.seed_index)
        self.hooks.fire("on_episode_start", episode)
        self.hooks.fire("on_train_epoch_start")

    def _step_lane(self, lane: Lane, obs: Any, action: Any, in_units: Any, stored: Any) -> None:
        k, episode = lane.seed_index, lane.running
        assert episode is not None
        step = self.envs.step(k, in_units[k].copy())  # an environment may write into what it is given
        self.agent.buffer.add(
            k,
            obs=obs[k],
            action=action[k],
            reward=step.reward,
            next_obs=step.obs,
            terminated=step.terminated,
            truncated=step.truncated,
            dt=NOMINAL_DT,
            next_dt=NOMINAL_DT,
            start=episode.length == 0,
            hidden=stored[k],
        )
        lane.count(in_units[k], step)

    def _report_step(self, obs: Any, action: Any) -> None:
        """Make the transition that callbacks asked for; a seed that is done repeats its last."""
        newest = [lane.newest for lane in self.lanes]
        transition = Transition(
            obs=obs,
            action=action,
            reward=np.array([step.reward for step in newest]),
            next_obs=self.envs.obs.copy(),
            terminated=np.array([step.terminated for step in newest]),
            truncated=np.array([step.truncated for step in newest]),
            dt=np.full(len(newest), NOMINAL_DT),
        )
        for hook in self.hooks.on_env_step:
            hook(transition)

    def _learn(self, lanes: Sequence[Lane]) -> None:
        if not self._has_learned:
            self._has_learned = True
            self.hooks.fire("on_warmup_end")
        self.metrics = self.agent.learn(self.batch_size, lanes[0].update)
        for lane in lanes:
            lane.lived.update += 1
