"""The innermost loop: act, step and learn at once, store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from velora.core.types import Action, Array, Metrics, Transition
from velora.envs import Environments
from velora.envs.clock import NOMINAL_DT
from velora.envs.vector import Step
from velora.training.action_log import reset_again
from velora.training.hook_table import HookTable
from velora.training.lane import Lane, Place
from velora.training.protocol import TrainableAgent


class Loop:
    """Advance the environments of all seeds by one step at a time, and learn when that is due.

    What is one for each environment, seed after seed, has a first axis of S * E.

    Attributes:
        hidden: (S, E, H), the recurrent state of every running episode; it stays in one place.
        metrics: what the newest update reported, as tensors (S,); empty before the first.
    """

    def __init__(
        self, agent: TrainableAgent, envs: Environments, lanes: Sequence[Lane], hooks: HookTable, *, batch_size: int
    ) -> None:
        self.agent, self.envs, self.lanes, self.hooks = agent, envs, lanes, hooks
        self.experience, self.batch_size = agent.experience, batch_size
        self.hidden: Tensor = agent.initial_hidden(agent.experience.n_envs)
        flat = self.hidden.flatten(0, 1)
        self._hidden: Tensor | Array = flat.numpy() if flat.device.type == "cpu" else flat  # a view, and cheaper to set
        buffer = self.experience.buffer
        self._keep_hidden = buffer.hidden_keeper(self.hidden)
        self.metrics: Metrics = {}
        self._incoming = buffer.incoming
        numbers = ("reward", "terminated", "truncated", "dt", "next_dt", "start")
        self._numbers = {n: self._incoming[n][:, 0] for n in numbers}
        self._numbers["dt"][...] = NOMINAL_DT
        self._act = agent.acting(envs.obs, self.hidden, self._incoming["dt"])
        self._has_learned = any(lane.lived.update for lane in lanes)

    def carry_on(self, metrics: Metrics) -> None:
        """Go on from what the newest updates before a resume reported."""
        self.metrics = metrics
        self.experience.carry_on(metrics)

    def step(self) -> None:
        """Take one step in every environment that still trains; begin the episodes that this needs.

        While the environments take it, the agent learns from what was stored before it. So actions come from the policy
        before that update, whatever the number of threads and the kernel. Every seed warms up and begins to
        learn by its own count, so that it goes the way it would go alone. An episode that ends is left as it is, for
        the caller to close. A hook that fires before the update begins, or after its end, finds weights at rest.
        """
        experience, lanes, incoming = self.experience, [lane for lane in self.lanes if not lane.done], self._incoming
        rows = tuple(lane.seed_index for lane in lanes)
        places = [(lane, place) for lane in lanes for place in lane.places]
        for lane, place in places:
            if place.running is None:
                self._begin_episode(lane, place)
            self._numbers["dt"][place.index] = place.newest.dt
        due = experience.due(rows, self.batch_size)
        if due and not self._has_learned:
            self._has_learned = True
            self.hooks.fire("on_warmup_end")
        incoming["obs"][...] = self.envs.obs
        self._keep_hidden()
        action = self._act(rows, [lane.lived.step for lane in self.lanes], experience.warming_up(rows))
        if due:
            experience.begin(self.batch_size, due)
        is_whole = False
        try:
            self._take_step(places, action)
            is_whole = True
        finally:
            self._finish_step(rows, due, is_whole=is_whole)
        if self.hooks.on_env_step:
            self._report_step()

    def _take_step(self, places: Sequence[tuple[Lane, Place]], action: NDArray[np.float32]) -> None:
        """Step every environment and count that; any may fail, and then no step has been."""
        incoming = self._incoming
        incoming["action"][...] = action
        in_units = self.agent.bounds.to_environment(action)
        done = [(lane, place, in_units[place.index]) for lane, place in places]
        steps = [self._step_place(place, own) for _, place, own in done]
        for (lane, place, own), step in zip(done, steps, strict=True):
            lane.count(place, own, step)
        incoming["next_obs"][...] = self.envs.obs

    def _finish_step(self, rows: tuple[int, ...], due: tuple[int, ...], *, is_whole: bool) -> None:
        """End the update and store the transition; a step that was counted is stored even if a hook fails."""
        try:
            if due:
                self._finish_learning(due)
        finally:
            if is_whole:
                self.experience.store(rows)

    def _begin_episode(self, lane: Lane, place: Place) -> None:
        seed = lane.next_reset_seed
        first = self.envs.reset(place.index, seed=seed)  # before all else: it may fail, and nothing has begun then
        if place.index == 0 and place.log.reset_seed is None:
            first = reset_again(self.envs, place.index, seed=seed, first=first)
        episode = lane.begin(place, seed, first)
        self._hidden[place.index] = 0.0
        self.agent.begin_episode(lane.seed_index)
        self.hooks.fire("on_episode_start", episode)
        self.hooks.fire("on_train_epoch_start")

    def _step_place(self, place: Place, action: Action) -> Step:
        k, numbers, episode = place.index, self._numbers, place.running
        assert episode is not None
        step = self.envs.step(k, action.copy())  # an environment may write into what it is given
        numbers["start"][k] = episode.length == 0
        numbers["reward"][k] = step.reward
        numbers["terminated"][k] = step.terminated
        numbers["truncated"][k] = step.truncated
        numbers["next_dt"][k] = step.dt
        return step

    def _report_step(self) -> None:
        """Make the transition that callbacks asked for; a seed that is done repeats its last."""
        newest, incoming = [place.newest for lane in self.lanes for place in lane.places], self._incoming
        transition = Transition(
            obs=incoming["obs"].astype(np.float32),
            action=incoming["action"].copy(),
            reward=np.array([step.reward for step in newest]),
            next_obs=self.envs.obs.copy(),
            terminated=np.array([step.terminated for step in newest]),
            truncated=np.array([step.truncated for step in newest]),
            dt=np.array([step.dt for step in newest]),
        )
        for hook in self.hooks.on_env_step:
            hook(transition)

    def _finish_learning(self, rows: tuple[int, ...]) -> None:
        self.experience.finish(self.lanes[rows[0]].update, self._count)

    def _count(self, rows: tuple[int, ...], metrics: Metrics) -> None:
        """Count an update of these seeds, of which a step may have several."""
        self.metrics = metrics
        for k in rows:
            self.lanes[k].lived.update += 1
