"""Experience that is fixed: a buffer that was filled before, learned from without an environment."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from torch import Tensor

from velora.buffers import ReplayBuffer
from velora.checkpoint import Checkpoint
from velora.core.autograd import as_by_default
from velora.core.errors import NonFiniteError, SettingError, ShapeError
from velora.core.types import Metrics
from velora.models.agent import Agent
from velora.models.checkpoint_contents import read_buffer
from velora.models.experience.replay import Replay, make_buffer
from velora.models.experience.updates import Updates


class DataSet:
    """A fixed set of transitions that an agent learns from, by the updates that it makes from its replay buffer.

    Nothing acts and nothing is stored, so that the agent learns offline from what others have done. Windows are drawn
    as in training: which ones depends on seed and number of the update alone. An agent that normalises and has met
    nothing yet takes its statistics from the set.

    Args:
        agent: one that replays, such as :class:`velora.models.LiquidTD3`.
        buffer: the transitions of each of its seeds; it is neither copied nor changed.

    Raises:
        SettingError: if the agent doesn't replay.
        ShapeError: if the buffer isn't of the agent's sizes.

    Example:
        ``DataSet.load(agent, "run/checkpoints/final").learn(batch_size=64, n_updates=1_000)``
    """

    def __init__(self, agent: Agent, buffer: ReplayBuffer) -> None:
        _check_replays(agent)
        sizes = agent.row_sizes(agent.state_size)
        expected = agent.n_seeds, ReplayBuffer.width(**sizes)
        if (buffer.n_seeds, buffer.row_width) != expected:
            raise ShapeError(
                f"dataset: expected a buffer of {expected[0]} seeds and rows of {expected[1]} numbers, got "
                f"{buffer.n_seeds} and {buffer.row_width}; make the agent as the one that filled it was made"
            )
        self.agent, self.buffer = agent, buffer
        self._updates = Updates(agent, buffer)
        self._count_statistics()

    @classmethod
    def load(cls, agent: Agent, directory: str | Path) -> Self:
        """Read the replay buffer of a checkpoint; every seed of the agent learns from it.

        Raises:
            CheckpointError: if there is no whole checkpoint with a buffer that fits the agent.
        """
        _check_replays(agent)
        checkpoint = Checkpoint.open(Path(directory))
        size = int((checkpoint.metadata.buffer or {}).get("size", 0))
        buffer = make_buffer(agent, max(1, size))
        for k in range(agent.n_seeds):
            read_buffer(buffer, checkpoint, k, n_choices=agent.settings.action_dim if agent.discrete else None)
        return cls(agent, buffer)

    def _count_statistics(self) -> None:
        normaliser, rows = self.agent.normaliser, range(self.agent.n_seeds)
        if normaliser is None or any(t.any() for n, t in normaliser.tensors().items() if n.endswith("_count")):
            return
        first = self.agent.draws.uniform("sampling", 1) * 0.0  # the one window that holds all, in the order of time
        for k in rows:
            lived = self.buffer.sample(first, self.buffer.size(k), self.agent.device)
            obs, *rest = (getattr(lived, n)[k : k + 1].cpu().float().numpy() for n in ("obs", "reward", "dt", "start"))
            normaliser.count_observations((k,), obs[:, 0])
            normaliser.count_privileged((k,), lived.critic_obs[k : k + 1, 0].cpu().float().numpy())
            normaliser.count_rewards((k,), *rest)

    @as_by_default()
    def learn(self, batch_size: int, *, n_updates: int, threads: int = 1) -> dict[str, Tensor]:
        """Make updates of all seeds, and count them in ``agent.progress``.

        Args:
            batch_size: windows in one update (B).
            n_updates: how many.
            threads: of the native kernel; more than there are seeds don't help.

        Returns:
            What the last update reports, (S,).

        Raises:
            SettingError: if the set holds no whole window, or a number is below 1.
            NonFiniteError: if a loss or a gradient of a seed isn't finite; its step isn't made.
        """
        for name, value in (("batch_size", batch_size), ("n_updates", n_updates), ("threads", threads)):
            if not isinstance(value, int) or value < 1:
                raise SettingError(f"{name}: expected a whole number of at least 1, got {value!r}")
        if len(self.buffer) < self._updates.window:
            raise SettingError(
                f"dataset: holds {len(self.buffer)} transitions, expected a window of {self._updates.window} or more"
            )
        self.agent.threads, rows = threads, tuple(range(self.agent.n_seeds))
        self.agent.learner.held.look_before_training()
        self._updates.prepare()
        metrics: Metrics = {}
        for update in range(n_updates):
            self._updates.begin(batch_size, rows)
            metrics = self._updates.finish(update, self._count)
            for k, fault in self.agent.learner.guard.faults.items():
                raise NonFiniteError(
                    f"dataset: seed {self.agent.seeds[k]}, update {self.agent.progress[k].update}: {fault}; weights "
                    "are those from before it; look into the data, or lower the learning rates"
                )
        return {name: value.clone() for name, value in metrics.items()}

    def _count(self, rows: tuple[int, ...], metrics: Metrics) -> None:
        for k in rows:
            self.agent.progress[k].update += 1


def _check_replays(agent: Agent) -> None:
    if not isinstance(agent.experience, Replay):
        raise SettingError(
            f"dataset: expected an agent that replays, got a {type(agent).__name__}; take one such as LiquidTD3"
        )
