"""Learning while driving: updates in another thread, which no action ever waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.core.errors import SettingError
from velora.drive.controller import Memory, sizes_of
from velora.drive.learner import Learned, Learner, Step, Transition, be_nice
from velora.drive.plant import Reading
from velora.models import Agent
from velora.models.experience.replay import Replay


class LearningController:
    """An agent that explores while it drives, and learns from that in another thread.

    Two copies of the policy: the loop acts with one, the learner improves the other. After every update the learner
    leaves its weights as one new array, and the loop copies that into its own before the next action: microseconds, and
    no lock. The updates run in the kernel, which gives Python's lock back meanwhile. If the learner falls behind, it
    stores and makes fewer updates; if it falls far behind, transitions are dropped and counted.

    Args:
        agent: of one seed, which learns; one that replays, such as :class:`velora.models.LiquidTD3`.
        batch_size: windows in one update.
        prepare: called in the learner's thread before it begins; by default it lets all others go first. Where the
            loop has a real-time priority, the learner needs a lower one: an ordinary thread may be stopped by any other
            program's while it holds Python's lock, and the loop then waits for both.

    Attributes:
        acting: the copy that the loop acts with.

    Raises:
        SettingError: if the agent can't learn so.
    """

    def __init__(self, agent: Agent, *, batch_size: int = 64, prepare: Callable[[], object] | None = None) -> None:
        experience = agent.experience
        if not isinstance(experience, Replay):
            raise SettingError(
                f"learn: {type(agent).__name__} learns from whole rollouts of its newest policy; expected an agent "
                "that replays, such as LiquidTD3 or LiquidSAC"
            )
        self.sizes, self.agent = sizes_of(agent), agent
        if agent.device.type != "cpu":
            raise SettingError(f"learn: expected an agent on the CPU, got {agent.device}; load it with device=cpu")
        if agent.privileged:
            raise SettingError("learn: this agent's critic reads privileged numbers, which a plant doesn't have")
        experience.check_batch_size(batch_size)
        self.name = f"{type(agent).__name__}, kernel {agent.kernel}, learning"
        self.acting = acting = agent.seed(0)
        self._memory = memory = Memory(acting)
        self._act = acting.acting(memory.obs, memory.hidden, memory.dt)
        self._values: Tensor = acting.learner.flats["actor"].values
        self._newest: Learned | None = None
        self._last: Step | None = None
        self._step = agent.progress[0].step
        self._warm = int(agent.settings.warmup_steps)
        self._learner = Learner(agent, experience, batch_size, self._publish, prepare or be_nice)

    def start(self) -> None:
        """Begin to learn."""
        self._learner.start()

    @property
    def n_updates(self) -> int:
        """Updates made so far."""
        return self._learner.n_updates

    @property
    def n_dropped(self) -> int:
        """Transitions that the learner had no time for."""
        return self._learner.n_dropped

    @property
    def problem(self) -> str:
        """Why the learner has ended before its time."""
        return self._learner.problem

    @property
    def waiting(self) -> int:
        """Transitions that wait for the learner, and the one that it is at."""
        return self._learner.waiting

    def _publish(self, learned: Learned) -> None:
        self._newest = learned

    def begin(self) -> None:
        """See :class:`velora.drive.controller.Controller`."""
        self._memory.hidden.zero_()
        self._last = None
        self.acting.begin_episode(0)

    @torch.inference_mode()
    def act(self, reading: Reading, dt: float) -> NDArray[Any]:
        """See :class:`velora.drive.controller.Controller`."""
        newest, self._newest = self._newest, None
        if newest is not None:
            self._take_over(newest)
        memory = self._memory
        memory.put(reading.obs, dt)
        obs, hidden = memory.obs[0].copy(), memory.hidden[0, 0].numpy().copy()
        begins = self._last is None  # a drive goes on with a state of zeros, also where the plant begins no episode
        if self._last is not None:
            self._learner.take(Transition(self._last, obs, dt, reading.reward, reading.terminated, reading.truncated))
            self._step += 1
        action = self._act((0,), [self._step], (0,) if self._step < self._warm else ())
        ended = reading.terminated or reading.truncated
        self._last = None if ended else Step(obs, hidden, action[0].copy(), dt, begins)
        scaled = self.agent.bounds.to_environment(action)
        return scaled if self.sizes.is_discrete else scaled[0]

    def _take_over(self, newest: Learned) -> None:
        self._values.copy_(newest.values)
        normaliser = self.acting.normaliser
        if normaliser is not None:
            for name, values in normaliser.tensors().items():
                values.copy_(newest.statistics[name])
            normaliser.refresh()

    @torch.inference_mode()
    def rehearse(self) -> None:
        """See :class:`velora.drive.controller.Controller`; nothing is learned from it."""
        self._memory.put(np.zeros(self.sizes.n_observations, np.float32), 1.0)
        self.agent.bounds.to_environment(self._act((0,), [self._step], ()))
        self.begin()

    def close(self) -> None:
        """End the learner, when it has learned from everything that waits."""
        self._learner.stop()
