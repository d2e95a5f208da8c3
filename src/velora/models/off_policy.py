"""What agents share that learn from replayed experience: the buffer, exploration, and when and how to learn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from velora.buffers import Batch, DeviceReplayBuffer, ReplayBuffer
from velora.buffers.budget import check_memory
from velora.core import devices
from velora.core.errors import SettingError
from velora.core.streams import DeviceStream, Stream
from velora.core.types import Array, Metrics
from velora.kernels.arrays.namespace import Values
from velora.kernels.arrays.program import do
from velora.models.acting import Acting
from velora.models.agent import Agent
from velora.models.exploration import Exploration, Explorer
from velora.models.learner import Source, Update, can_replay
from velora.models.normalisation import NormalisedReplay, Normaliser


class OffPolicyAgent(Agent):
    """Explore, store, and make one update from replayed windows at every step.

    A subclass with ``replays=True`` promises that all arithmetic of its ``training_step`` is calls of
    ``self.learner``: its networks, backend and optimizers. Such an update is noted once and then run as a whole. The
    promise isn't inherited by a subclass with a ``training_step`` of its own.

    Attributes:
        exploration: turns the policy's actions into tried ones.
        learns_policy: whether the update that is being made does.
    """

    _replays: ClassVar[bool] = False

    def __init_subclass__(cls, *, replays: bool | None = None, **rest: Any) -> None:
        """Note whether updates may be replayed."""
        super().__init_subclass__(**rest)
        if replays is not None or "training_step" in cls.__dict__:
            cls._replays = bool(replays)

    def __init__(self, settings: dict[str, Any], **own: Any) -> None:
        super().__init__(settings, **own)
        self.exploration = self.configure_exploration()
        self.learns_policy = True
        self._streams: dict[tuple[str, tuple[int, ...]], Stream | DeviceStream] = {}
        self._are_ready: tuple[int, ...] = ()
        self._runs_as_program = False
        self._pending: list[_Part] = []
        self._metrics: dict[str, Tensor] = {}
        self._buffer: ReplayBuffer | None = None
        self._normalised: NormalisedReplay | None = None

    # ------------------------------------------------------------------------------------------- what subclasses say

    @abstractmethod
    def training_step(self, batch: Batch) -> Metrics:
        """Make one update from a batch; return detached metrics of shape (S,)."""

    def configure_exploration(self) -> Explorer:
        """Make what tries things; here random actions first, then correlated noise."""
        s = self.settings
        return Exploration(
            self.seeds,
            s.action_dim,
            std=s.noise_std,
            final_std=s.noise_final_std,
            decay_steps=s.noise_decay_steps,
            correlation=s.noise_correlation,
        )

    @property
    def replays(self) -> bool:
        """Tell whether updates may be noted once and run as a whole."""
        return self._replays

    @property
    def policy_delay(self) -> int:
        """Every how manieth update improves the policy too; here every one."""
        return 1

    def greedy(self, out: Tensor) -> Tensor:
        """Take what the actor puts out as the action."""
        return out

    def explored(self, out: Array, generator: np.random.Generator) -> Array:
        """Add Gaussian noise of the deviation that training begins with."""
        noisy: Array = out + self.settings.noise_std * generator.standard_normal(out.shape)
        return noisy.clip(-1.0, 1.0)

    # -------------------------------------------------------------------------------------------------- experience

    def check_memory(self) -> None:
        """Refuse more seeds than memory holds, before anything is made for them."""
        s, n = self.settings, self.state_size_of_one()
        width = ReplayBuffer.width(
            obs_dim=self.obs_dim, action_dim=self.action_width, state_size=n, as_bytes=self.stores_bytes
        )
        on_device = self._keeps_on_device
        check_memory(
            self.n_seeds,
            capacity=s.buffer_size,
            row_width=width,
            purpose=f"replay on {self.device}" if on_device else "replay",
            available=devices.available_bytes(self.device) if on_device else None,
        )

    @property
    def _keeps_on_device(self) -> bool:
        """Whether experience and random numbers are kept where learning is; on a CPU the host's are as near.

        ``mps`` has no double precision, which choosing windows needs.
        """
        return self.device.type not in ("cpu", "mps")

    @property
    def buffer(self) -> ReplayBuffer:
        """The replay buffer, allocated when it is first needed."""
        if self._buffer is None:
            s = self.settings
            if self.sees_images:
                self.check_memory()
            make = partial(DeviceReplayBuffer, device=self.device) if self._keeps_on_device else ReplayBuffer
            self._buffer = make(
                s.buffer_size,
                n_seeds=self.n_seeds,
                obs_dim=self.obs_dim,
                action_dim=self.action_width,
                state_size=self.state_size,
                as_bytes=self.stores_bytes,
            )
        return self._buffer

    def acting(self, obs: Array, hidden: Tensor, dt: Array) -> Acting:
        """Prepare to act in training; see :class:`velora.models.acting.Acting`."""
        actor = self.learner.networks["actor"]
        return Acting(actor, self.exploration, obs, hidden, dt, normaliser=self.normaliser)

    def store(self, rows: tuple[int, ...]) -> None:
        """Keep the buffer's ``incoming`` transition of these seeds, and count it in what normalises the next."""
        self.buffer.append(rows)
        if self.normaliser is not None:
            where = list(rows)
            new = {n: self.buffer.incoming[n][where] for n in ("obs", "reward", "dt", "start")}
            self.normaliser.count_observations(rows, new["obs"][:, None])
            self.normaliser.count_rewards(rows, *(new[name][:, None] for name in ("reward", "dt", "start")))

    def begin_episode(self, seed_index: int) -> None:
        """Forget the exploration noise of the episode before."""
        self.exploration.begin_episode(seed_index)

    def warming_up(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """Choose, of these seeds, those whose next action is drawn at random.

        All steps of an agent's life count, not those of one run.
        """
        if self._are_ready == rows:
            return ()
        warmup_steps: int = self.settings.warmup_steps
        return tuple(k for k in rows if self.progress[k].step < warmup_steps)

    # ---------------------------------------------------------------------------------------------------- learning

    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a batch that the buffer can never fill.

        Raises:
            SettingError: if it is larger than the buffer.
        """
        if batch_size > self.settings.buffer_size:
            raise SettingError(
                f"batch_size: {batch_size} is more than the {self.settings.buffer_size} transitions that the buffer "
                "holds; lower batch_size or raise buffer_size"
            )

    def configure_training(self, *, threads: int = 1) -> None:
        """Build what only training needs.

        Args:
            threads: of the native kernel; those that find no seed to begin with take parts of the others' calls.
        """
        _ = self.buffer
        self.threads = threads
        self._are_ready = ()
        networks, optimizers = list(self.learner.networks.values()), list(self.optimizers.values())
        self._runs_as_program = self.replays and can_replay(self.kernel, networks, optimizers)

    def due(self, rows: tuple[int, ...], batch_size: int) -> tuple[int, ...]:
        """Choose, of these seeds, those with enough experience for an update."""
        if self._are_ready == rows:
            return rows
        needed = max(batch_size, self._window)
        warm = self.warming_up(rows)
        due = tuple(k for k in rows if k not in warm and self.buffer.size(k) >= needed)
        if due == rows:
            self._are_ready = rows  # and will be from now on: neither lives nor buffers grow shorter
        return due

    @property
    def _window(self) -> int:
        length: int = self.settings.burn_in + self.settings.sequence_length
        return length

    def sampling(self, batch_size: int) -> Values:
        """Draw which windows the next batch of every seed holds.

        Shapes:
            returns: (S, B), in [0, 1), where the buffer is; the same memory at every call.
        """
        return self._drawn("sampling", (batch_size,), lambda g, out: g.random(out=out), np.float64)

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Draw standard normal numbers for an update, (S, *shape) on the device; a program draws them anew."""
        drawn = self._drawn(purpose, shape, lambda g, out: g.standard_normal(dtype=np.float32, out=out), np.float32)
        if isinstance(drawn, Tensor):
            return drawn
        here = torch.from_numpy(drawn)
        if self.device.type == "cpu":
            return here
        there = here.to(self.device)
        do(there.copy_, here)
        return there

    def _drawn(
        self,
        purpose: str,
        shape: tuple[int, ...],
        draw: Callable[[np.random.Generator, Array], object],
        dtype: type[np.floating],
    ) -> Values:
        stream = self._streams.get((purpose, shape))
        if stream is None:
            drawn = Stream(self.seeds, purpose, draw, shape, dtype=dtype)
            stream = DeviceStream(drawn, self.device) if self._keeps_on_device else drawn
            self._streams[purpose, shape] = stream
        return stream.at([p.update for p in self.progress])

    def begin_learning(self, batch_size: int, rows: tuple[int, ...]) -> None:
        """Begin an update of these seeds, from what is stored now; :meth:`finish_learning` has to follow.

        Where no hook looks into it, it runs as one program, on other threads if there are any. Until it is finished,
        nothing may be acted, stored or saved.
        """
        self._pending = self._parts(rows)
        if self._runs_as_program and not self.hooks.look_into_updates:
            self._start(self._pending[0], batch_size)

    def _parts(self, rows: tuple[int, ...]) -> list[_Part]:
        """Part the seeds whose policies are due from those whose aren't: lives may differ in length."""
        delay = self.policy_delay
        if delay == 1:
            return [_Part(rows, learns_policy=True)]
        due = tuple(k for k in rows if self.progress[k].update % delay == 0)
        rest = tuple(k for k in rows if k not in due)
        return [_Part(part, learns_policy=part is due) for part in (due, rest) if part]

    def _start(self, part: _Part, batch_size: int) -> None:
        self.learner.rows, self.learns_policy = part.rows, part.learns_policy
        uniform = self.sampling(batch_size)
        for stream in self._streams.values():
            if stream.newest is not uniform:
                stream.at([p.update for p in self.progress])
        source: Source = self.buffer
        if self.normaliser is not None:
            source = self._read_normalised(self.normaliser, uniform)
        part.update = self.learner.program(part.learns_policy, self._window, source, uniform, self.training_step)
        part.update.program.start(part.rows, self.threads)

    def _read_normalised(self, normaliser: Normaliser, uniform: Values) -> NormalisedReplay:
        if self._normalised is None:
            self._normalised = NormalisedReplay(self.buffer, normaliser)
        self._normalised.read(uniform, self._window, self.device)
        return self._normalised

    def finish_learning(
        self, batch_size: int, update: int, count: Callable[[Metrics], None] = lambda metrics: None
    ) -> Metrics:
        """Wait for the update, or make it now, with the hooks around it.

        What a program reports, and its batch, is overwritten by the next update.
        """
        hooks, pending, batch = self.hooks, self._pending, None
        if pending[0].update is None:
            batch = self.buffer.sample(self.sampling(batch_size), self._window, self.device)
            if self.normaliser is not None:
                self.normaliser.fit(batch)
            for hook in hooks.on_train_batch_start:
                hook(batch, update)
        for part in pending:
            if batch is not None:
                self.learner.rows, self.learns_policy = part.rows, part.learns_policy
                self._report(part.rows, self.training_step(batch))
                continue
            if part.update is None:
                self._start(part, batch_size)
            assert part.update is not None
            part.update.program.wait()
            self._report(part.rows, part.update.metrics)
        count(self._metrics)
        if hooks.on_train_batch_end:
            if batch is None:
                assert pending[-1].update is not None
                batch = pending[-1].update.batch
            for hook in hooks.on_train_batch_end:
                hook(self._metrics, batch, update)
        return self._metrics

    def _report(self, rows: tuple[int, ...], metrics: Metrics) -> None:
        """Take over what seeds report; what an update doesn't report stays as the last one left it."""
        if len(rows) == self.n_seeds or not self._metrics.keys() >= metrics.keys():
            self._metrics = {**self._metrics, **metrics}
            return
        where = list(rows)
        for name, value in metrics.items():
            known = self._metrics[name] = self._metrics[name].clone()
            known[where] = value[where]

    # ------------------------------------------------------------------------------------------------------ resuming

    def training_state(self, seed_index: int) -> dict[str, Any]:
        """Return the exploration noise."""
        return {"exploration": self.exploration.state_dict(seed_index)}

    def load_training_state(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take it over."""
        self.exploration.load_state_dict(state["exploration"], seed_index)

    def reseed(self) -> None:
        """Draw for the seeds that ``seeds`` names from now on."""
        self.exploration.reseed(self.seeds)
        for stream in self._streams.values():
            stream.reseed(self.seeds)


class _Part:
    """Seeds that learn the same things in one update; ``update`` is its program once it was started."""

    def __init__(self, rows: tuple[int, ...], *, learns_policy: bool) -> None:
        self.rows, self.learns_policy = rows, learns_policy
        self.update: Update | None = None
