"""Experience that is learned from once: a rollout of each seed, which the newest policy has acted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from velora.buffers import Rollout, RolloutBuffer
from velora.buffers.budget import check_memory
from velora.core.errors import SettingError
from velora.core.types import Metrics
from velora.models.agent import Agent
from velora.models.experience.part import AgentPart
from velora.models.normalisation import Normaliser
from velora.models.stochastic_exploration import RolloutSampling
from velora.training.experience import Count, Experience


class Rollouts(AgentPart, Experience):
    """The rollout of each seed, learned from in the step after it has become full, and then begun anew.

    A seed may act in several environments at once, which take their steps together. A step of it is then E environment
    steps. One learning phase, however many gradient steps it makes, counts as one update (``progress[k].update``), and
    the hooks of a training batch fire once around it, with the whole rollout as their batch.

    Args:
        agent: has the settings ``rollout_steps``, ``n_envs`` and ``sequence_length``. Its ``training_step`` is given a
            :class:`velora.buffers.Rollout` (S, E, T, ...), and learns with the seeds of ``learner.rows``; the rollouts
            of the others mean nothing.
        sampling: the agent's exploration, which keeps the log-probability of its draws.

    Attributes:
        batch_size: steps in one minibatch.
        carried: tensors (S, ...) that go on from one rollout to the next, such as the state of a recurrent critic; they
            are saved with a run.
    """

    def __init__(self, agent: Agent, sampling: RolloutSampling) -> None:
        super().__init__(agent)
        self._sampling, self.batch_size = sampling, 0
        self.carried: dict[str, Tensor] = {}
        self._rows: tuple[int, ...] = ()
        self._metrics: dict[str, Tensor] = {}

    @property
    def n_envs(self) -> int:
        """Environments that each seed acts in at once (E)."""
        return int(self.agent.settings.n_envs)

    # ------------------------------------------------------------------------------------------------------- storing

    def check_memory(self) -> None:
        """Refuse more seeds than memory holds; see :class:`Experience`."""
        agent = self.agent
        width = self.n_envs * RolloutBuffer.width(**agent.row_sizes(agent.state_size_of_one()))
        steps = agent.settings.rollout_steps
        check_memory(agent.n_seeds, capacity=steps, row_width=width, purpose="rollouts", setting="rollout_steps")

    @cached_property
    def buffer(self) -> RolloutBuffer:
        """The rollouts, allocated when they are first needed."""
        agent = self.agent
        if agent.sees_images:
            self.check_memory()
        sizes = agent.row_sizes(agent.state_size)
        return RolloutBuffer(agent.settings.rollout_steps, n_seeds=agent.n_seeds, n_envs=self.n_envs, **sizes)

    def store(self, rows: tuple[int, ...]) -> None:
        """Keep the ``incoming`` transition of these seeds, with the probability of its action."""
        self.buffer.incoming["log_prob"][...] = self._sampling.log_prob
        self.buffer.append(rows)

    def begun(self, seed_index: int) -> dict[str, Tensor]:
        """See :class:`Experience`; the row has the probability of its action."""
        self.buffer.incoming["log_prob"][...] = self._sampling.log_prob
        return super().begun(seed_index)

    def begin_again(self, begun: Mapping[str, Tensor], seed_index: int) -> None:
        """See :class:`Experience`."""
        super().begin_again(begun, seed_index)
        own = slice(seed_index * self.n_envs, (seed_index + 1) * self.n_envs)
        self._sampling.log_prob[own] = self.buffer.incoming["log_prob"][own]

    # ------------------------------------------------------------------------------------------------------ learning

    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a minibatch that no rollout fills, that holds no whole window, or a single step."""
        s = self.agent.settings
        if batch_size > s.rollout_steps * s.n_envs:
            raise SettingError(
                f"batch_size: {batch_size} is more than the {s.rollout_steps * s.n_envs} steps of a rollout; "
                "lower batch_size or raise rollout_steps or n_envs"
            )
        if batch_size < 2:
            raise SettingError(
                f"batch_size: expected at least 2 steps, since advantages are normalised among them, got {batch_size}"
            )
        if batch_size < s.sequence_length:
            raise SettingError(
                f"batch_size: {batch_size} steps hold no window of {s.sequence_length}; "
                "raise batch_size or lower sequence_length"
            )

    def prepare(self) -> None:
        """Allocate the rollouts and build the optimizers."""
        _ = self.buffer, self.agent.optimizers
        self.agent.learner.guard.reset()

    def due(self, rows: tuple[int, ...], batch_size: int) -> tuple[int, ...]:
        """Choose, of these seeds, those whose rollout is full."""
        return tuple(k for k in rows if self.buffer.is_full(k))

    @property
    def faults(self) -> Mapping[int, str]:
        """Faults of updates; see :class:`Experience`."""
        return self.agent.learner.guard.faults

    def begin(self, batch_size: int, rows: tuple[int, ...]) -> int:
        """Keep who learns; all of it is done in :meth:`finish`, as one update.

        The action of this step was drawn before, and stays in the next rollout with the probability it was drawn with.
        """
        self.batch_size, self._rows = batch_size, rows
        return 1

    def finish(self, update: int, count: Count) -> Metrics:
        """Learn, with the hooks around it, and begin new rollouts. The batch is overwritten by those.

        Observations are normalised with the statistics of earlier rollouts, as they were when the policy acted; only a
        rollout's first step was acted on with statistics one rollout older. This rollout's observations update the
        statistics afterwards; its rewards, on which nothing depends yet, update them first.
        """
        agent, rows, raw = self.agent, self._rows, self.buffer.read(self.agent.device)
        rollout = raw if agent.normaliser is None else self._normalised(raw, rows, agent.normaliser)
        for hook in agent.hooks.on_train_batch_start:
            hook(rollout, update)
        with torch.no_grad():
            for part in agent.tuning.parts(rows):
                self._learn(part, rollout)
        if agent.normaliser is not None:
            for k in rows:
                agent.normaliser.count_observations((k,), raw.obs[k].flatten(0, 1)[None].cpu().numpy())
                if agent.privileged:
                    agent.normaliser.count_privileged((k,), raw.critic_obs[k].flatten(0, 1)[None].cpu().numpy())
        self.buffer.clear(rows)
        count(rows, self._metrics)
        for hook in agent.hooks.on_train_batch_end:
            hook(self._metrics, rollout, update)
        return self._metrics

    def _learn(self, rows: tuple[int, ...], rollout: Rollout) -> None:
        agent = self.agent
        agent.learner.rows = rows
        with agent.tuning.applied(rows[0]):
            metrics = agent.training_step(rollout)
        agent.learner.guard.trace(agent.learner.modules, rollout)
        learned = torch.zeros(agent.n_seeds, dtype=torch.bool, device=agent.device)
        learned[list(rows)] = True
        known = self._metrics
        self._metrics = {n: torch.where(learned, m, known.get(n, m)) for n, m in metrics.items()}

    @staticmethod
    def _normalised(raw: Rollout, rows: tuple[int, ...], normaliser: Normaliser) -> Rollout:
        for k in rows:
            lived = (getattr(raw, name)[k : k + 1].cpu().numpy() for name in ("reward", "dt", "start"))
            normaliser.count_rewards((k,), *lived)
        return normaliser.fitted(raw)

    # ------------------------------------------------------------------------------------------------------ resuming

    def carry_on(self, metrics: Metrics) -> None:
        """Take over what the learning phases before a resume reported."""
        self._metrics = dict(metrics)

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """Return what is carried on."""
        return {name: values[seed_index].clone() for name, values in self.carried.items()}

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take it over."""
        for name, values in self.carried.items():
            values[seed_index] = state[name].view(values[seed_index].shape)
