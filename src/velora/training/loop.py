"""The innermost loop: act, step and learn at once, store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from velora.core.errors import NonFiniteError
from velora.core.types import Action, Array, Metrics, Transition
from velora.envs import Environments
from velora.envs.clock import NOMINAL_DT
from velora.envs.vector import Step
from velora.training.action_log import reset_again
from velora.training.hook_table import HookTable
from velora.training.lane import Lane
from velora.training.lost_seeds import LostSeeds
from velora.training.place import Place
from velora.training.protocol import TrainableAgent


class Loop:
    """Advance the environments of all seeds by one step at a time, and learn when that is due.

    What is one for each environment, seed after seed, has a first axis of S * E.

    Attributes:
        hidden: (S, E, H), the recurrent state of every running episode; it stays in one place.
        metrics: what the newest update reported, as tensors (S,); empty before the first.
        has_ended: whether an episode ended with the newest step.
        begun: of each seed whose step has begun, and failed before its environments had answered, the transition that
            it began with, as :meth:`Experience.begun` has it. It has acted and learned, which isn't done again.
        lost: seeds that were stopped at a number that isn't finite.
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
        self.has_ended = False
        self.begun: dict[int, Mapping[str, Tensor]] = {}
        self._is_changing, self._n_due = False, 0
        self._incoming = buffer.incoming
        self._shown = {"obs": envs.obs, **({"privileged": envs.privileged} if agent.privileged else {})}
        numbers = ("reward", "terminated", "truncated", "dt", "next_dt", "start")
        self._numbers = {n: self._incoming[n][:, 0] for n in numbers}
        self._numbers["dt"][...] = NOMINAL_DT
        self.experience.meet(envs)
        self._act = agent.acting(envs.obs, self.hidden, self._incoming["dt"])
        self._has_learned = any(lane.lived.update for lane in lanes)
        self.lost = LostSeeds(agent, lanes)
        self._faults = self.experience.faults

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
        lanes = self._begin_episodes()
        rows = tuple(lane.seed_index for lane in lanes)
        if not rows:
            return
        action, due = self._go_on(rows) if self.begun else self._begin_step(rows)
        counted, failed = tuple[int, ...](), lanes
        try:
            counted, failed = self._take_step(lanes, rows, action), []
            if self.begun:
                self.begun = {k: begun for k, begun in self.begun.items() if k not in rows}
        except BaseException:
            self.begun = {**self.begun, **{k: self.experience.begun(k) for k in rows}}
            raise
        finally:
            self._finish_step(counted, due, failed)
        if self.hooks.on_env_step:
            self._report_step()

    @property
    def is_torn(self) -> bool:
        """Return whether an error came while actions were chosen, a step kept or an update made: it is half done."""
        return self._is_changing or self._n_due > 0

    def _begin_step(self, rows: tuple[int, ...]) -> tuple[NDArray[np.float32], tuple[int, ...]]:
        """Choose actions (S * E, A), and let those seeds begin to learn that are due; return both."""
        experience, incoming = self.experience, self._incoming
        due = experience.due(rows, self.batch_size)
        if due and not self._has_learned:
            self._has_learned = True
            self.hooks.fire("on_warmup_end")
        for name, values in self._shown.items():
            incoming[name][...] = values
        self._keep_hidden()
        self._is_changing = True
        action = self._act(rows, [lane.lived.step for lane in self.lanes], experience.warming_up(rows))
        if due:
            self._n_due = experience.begin(self.batch_size, due)
        self._is_changing = False
        return action, due

    def _go_on(self, rows: tuple[int, ...]) -> tuple[NDArray[np.float32], tuple[int, ...]]:
        """Do as :meth:`_begin_step`, for the seeds whose step hasn't begun before."""
        fresh = tuple(k for k in rows if k not in self.begun)
        action, due = self._begin_step(fresh) if fresh else (np.zeros_like(self._incoming["action"]), ())
        for k, begun in self.begun.items():
            self.experience.begin_again(begun, k)
            own = [place.index for place in self.lanes[k].places]
            action[own] = self._incoming["action"][own]
        return action, due

    def _take_step(self, lanes: Sequence[Lane], rows: tuple[int, ...], action: NDArray[np.float32]) -> tuple[int, ...]:
        """Step every environment and count that; return the seeds of which it counts.

        Those that meet NaN or infinity are lost, and none of their environments has stepped. Any other error is the
        run's, and no step has been.
        """
        incoming = self._incoming
        incoming["action"][...] = action
        in_units = self._in_units(lanes, action)
        done = [(lane, place, in_units[place.index]) for lane in lanes for place in lane.places]
        if self.envs.are_remote:
            self.envs.begin((place.index, own) for lane, place, own in done if not lane.is_lost)
        steps = [self._step_place(lane, place, own) for lane, place, own in done]
        self.has_ended, self._is_changing = False, True
        for (lane, place, own), step in zip(done, steps, strict=True):
            if step is not None and not lane.is_lost:
                lane.count(place, own, step)
                if step.terminated or step.truncated:
                    self.has_ended = True
        for name, values in self._shown.items():
            incoming[f"next_{name}"][...] = values
        return tuple(k for k in rows if not self.lanes[k].is_lost) if self.lost.places else rows

    def _in_units(self, lanes: Sequence[Lane], action: NDArray[np.float32]) -> NDArray[Any]:
        """Turn actions into the environments' units; a seed without a finite one is lost."""
        if self.lost.places:
            action[self.lost.places] = 0.0
        try:
            return self.agent.bounds.to_environment(action)
        except NonFiniteError:
            for lane in lanes:
                own = action[[place.index for place in lane.places]]
                if not np.isfinite(own).all():
                    self.lost.add(lane.seed_index, f"policy: gave the action {own.ravel()}")
            return self.agent.bounds.to_environment(np.nan_to_num(action))

    def _finish_step(self, counted: tuple[int, ...], due: tuple[int, ...], failed: Sequence[Lane]) -> None:
        """End the update and store the transitions; a step that was counted is stored even if a hook fails.

        Where it failed, the update's hooks are told the step that it would have been: they don't fire again for it.
        """
        for lane in failed:
            lane.lived.step += len(lane.places)
        try:
            if due:
                self._finish_learning(due)
        finally:
            for lane in failed:
                lane.lived.step -= len(lane.places)
            if counted:
                self.experience.store(counted)
                self._is_changing = False

    def _begin_episodes(self) -> list[Lane]:
        """Begin the episodes that the next step needs; return the seeds that take it."""
        lanes = [lane for lane in self.lanes if not lane.done]
        for lane in lanes:
            try:
                for place in lane.places:
                    if place.running is None:
                        self._begin_episode(lane, place)
                    self._numbers["dt"][place.index] = place.newest.dt
            except NonFiniteError as error:
                self.lost.add(lane.seed_index, str(error))
        return [lane for lane in lanes if not lane.is_lost] if self.lost.places else lanes

    def _begin_episode(self, lane: Lane, place: Place) -> None:
        seed = lane.next_reset_seed
        if lane.parameters != place.parameters:
            self.envs.parameters.put(place.index, lane.parameters)
        first = self.envs.reset(place.index, seed=seed)  # before all else: it may fail, and nothing has begun then
        if place.index == 0 and place.log.reset_seed is None:
            first = reset_again(self.envs, place.index, seed=seed, first=first)
        place.parameters = lane.parameters
        self._hidden[place.index] = 0.0
        self.agent.begin_episode(lane.seed_index)
        episode = lane.begin(place, seed, first)  # after what may fail, since a resume doesn't do it again
        self.hooks.fire("on_episode_start", episode)
        self.hooks.fire("on_train_epoch_start")

    def _step_place(self, lane: Lane, place: Place, action: Action) -> Step | None:
        k, numbers, episode = place.index, self._numbers, place.running
        assert episode is not None
        if lane.is_lost:
            return None
        try:
            step = self.envs.step(k, action.copy())  # an environment may write into what it is given
        except NonFiniteError as error:
            self.lost.add(lane.seed_index, str(error))
            return None
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
        for k, fault in self._faults.items() if self._faults else ():
            self.lost.add(k, f"update {self.lanes[k].update}: {fault}; that step of the optimizer was not made")

    def _count(self, rows: tuple[int, ...], metrics: Metrics) -> None:
        """Count an update of these seeds, of which a step may have several."""
        self.metrics = metrics
        self._n_due -= 1
        for k in rows:
            self.lanes[k].lived.update += 1
