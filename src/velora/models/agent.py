"""What all agents share: networks with a seed axis, acting, updating, training, saving and loading."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from velora import envs
from velora.buffers import Batch, ReplayBuffer
from velora.buffers.budget import check_memory
from velora.callbacks.base import Callback
from velora.checkpoint import Checkpoint
from velora.core import seeding
from velora.core.devices import set_device
from velora.core.errors import CheckpointError, SettingError
from velora.core.streams import Stream
from velora.core.types import Array, Counters, Metrics
from velora.envs import ActionBounds
from velora.models import learning, persistence, prediction
from velora.models.acting import Acting
from velora.models.exploration import Exploration
from velora.models.learning import Learner, Update
from velora.models.optimizers import OPTIMIZERS, SeedOptimizer
from velora.models.settings import Settings
from velora.nn.networks import LiquidActor
from velora.nn.parameters import count_parameters
from velora.ops import kernels
from velora.training.hooks import NO_HOOKS, HookTable
from velora.training.result import TrainResult

if TYPE_CHECKING:
    import gymnasium as gym
    from lightning.pytorch.loggers import Logger

    from velora.envs.make import EnvLike


class Agent(ABC):
    """Hold networks and what they learn from; subclasses say which networks, and how one update goes.

    A subclass with ``replays=True`` promises that all arithmetic of its ``training_step`` is calls of
    ``self.learner``: its networks, backend and optimizers. Such an update is noted once and then run as a whole. The
    promise isn't inherited by a subclass with a ``training_step`` of its own.

    An agent isn't an ``nn.Module``, which owns ``train`` already; it holds modules. Every parameter, buffer and batch
    carries the seed axis S first.

    Attributes:
        networks: ``"actor"``, ``"critic"``, ... and their targets ``"target_actor"``, ...
        learner: what runs and improves them.
        threads: of the native kernel, over seeds.
        settings: what the constructor was given, checked.
        seeds: the run seed of every position on the seed axis.
        wirings: of the networks that have one, in words.
        environment: the environment last trained on, as a checkpoint names it; ``None`` before.
        bounds: of the actions of that environment; [-1, 1] before.
        progress: episodes, environment steps and updates lived so far, by seed.
    """

    key: ClassVar[str]
    settings_type: ClassVar[type[Settings]]
    settings: Any
    _replays: ClassVar[bool] = False

    def __init_subclass__(cls, *, replays: bool | None = None, **rest: Any) -> None:
        """Note whether updates may be replayed."""
        super().__init_subclass__(**rest)
        if replays is not None or "training_step" in cls.__dict__:
            cls._replays = bool(replays)

    def __init__(
        self,
        settings: dict[str, Any],
        *,
        device: str | torch.device | None = None,
        kernel: str = "auto",
        seed: int | None = None,
        seeds: Iterable[int] | None = None,
    ) -> None:
        self.settings = self.settings_type.check(settings)
        self.optimizer_kind = OPTIMIZERS.get(self.settings.optimizer)
        self.seeds = _check_seeds(seed, seeds)
        self.device = set_device(device)
        self.wirings: dict[str, str] = {}
        self.kernel = kernels.choose(kernel, self.device)
        self.threads = 1
        if len(self.seeds) > 1:
            self._check_memory()
        self.learner = Learner(self.configure_networks(), self.device, self.kernel)
        self.networks = self.learner.modules
        self.environment: dict[str, Any] | None = None
        self.bounds = ActionBounds.unit(self.settings.action_dim)
        self.progress = [Counters() for _ in self.seeds]
        self.exploration = Exploration(
            self.seeds,
            self.settings.action_dim,
            std=self.settings.noise_std,
            final_std=self.settings.noise_final_std,
            decay_steps=self.settings.noise_decay_steps,
            correlation=self.settings.noise_correlation,
        )
        self._sampling: dict[int, Stream] = {}
        self.hooks: HookTable = NO_HOOKS
        self._are_ready: tuple[int, ...] = ()
        self._runs_as_program = False
        self._update: Update | None = None
        self._buffer: ReplayBuffer | None = None
        self._optimizer_state: dict[int, persistence.OptimizerState] = {}

    def _check_memory(self) -> None:
        """Refuse more seeds than memory holds, before anything is made for them."""
        s, every = self.settings, self.seeds
        self.seeds = every[:1]
        actor = cast(LiquidActor, self.configure_networks()["actor"])
        self.seeds = every
        width = ReplayBuffer.width(obs_dim=s.state_dim, action_dim=s.action_dim, state_size=actor.cell.state_size)
        check_memory(len(every), capacity=s.buffer_size, row_width=width)

    # ------------------------------------------------------------------------------------------- what subclasses say

    @abstractmethod
    def configure_networks(self) -> dict[str, nn.Module]:
        """Build the trained networks by name; the base makes their targets."""

    @abstractmethod
    def learning_rates(self) -> Mapping[str, float]:
        """Name the trained networks with their learning rates."""

    @abstractmethod
    def training_step(self, batch: Batch) -> Metrics:
        """Make one update from a batch; return detached metrics of shape (S,)."""

    # ------------------------------------------------------------------------------------------------------- parts

    def init_generators(self, network: str) -> list[torch.Generator]:
        """Make the generators that draw a network's first weights, one for each seed."""
        return [seeding.torch_generator(s, f"init {network}") for s in self.seeds]

    @property
    def n_seeds(self) -> int:
        """Number of agents trained side by side (S)."""
        return len(self.seeds)

    @property
    def buffer(self) -> ReplayBuffer:
        """The replay buffer, allocated when it is first needed."""
        if self._buffer is None:
            s = self.settings
            self._buffer = ReplayBuffer(
                s.buffer_size,
                n_seeds=self.n_seeds,
                obs_dim=s.state_dim,
                action_dim=s.action_dim,
                state_size=self.state_size,
            )
        return self._buffer

    @property
    def optimizers(self) -> dict[str, SeedOptimizer]:
        """The optimizers, built when training first needs them."""
        if not self.learner.optimizers:
            self.learner.make_optimizers(self.optimizer_kind, self.learning_rates())
            for k, state in self._optimizer_state.items():
                learning.load_optimizer_state(self.learner.optimizers, k, state)
            self._optimizer_state = {}
        return self.learner.optimizers

    @property
    def policy(self) -> LiquidActor:
        """The network that acts."""
        return cast(LiquidActor, self.networks["actor"])

    @property
    def state_size(self) -> int:
        """Numbers in the recurrent state of one policy (H)."""
        return self.policy.cell.state_size

    def initial_hidden(self, batch: int = 1) -> Tensor:
        """Make the recurrent state of an episode's first step.

        Shapes:
            returns: (S, batch, H), zeros.
        """
        return self.policy.initial_state(batch)

    def summary(self) -> dict[str, Any]:
        """Describe the agent for people: class, settings, wiring, parameters active and in all, of one seed."""
        networks = {}
        for name in self.learning_rates():
            count = count_parameters(self.networks[name])
            networks[name] = {"wiring": self.wirings.get(name), "parameters": count.total, "active": count.active}
        return {"agent": type(self).__name__, "settings": self.settings_dict(), "networks": networks}

    # ------------------------------------------------------------------------------------------------------ acting

    @torch.inference_mode()
    def act(self, obs: Tensor, hidden: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """Follow the policy one step, without noise.

        Shapes:
            obs: (S, B, O). hidden: (S, B, H). dt: (S, B), in control steps.
            returns: action (S, B, A) in [-1, 1], hidden (S, B, H).
        """
        out, _, last = self.learner.networks["actor"].run(
            obs.unsqueeze(2), hidden=hidden, dt=dt.unsqueeze(2), wants=("out", "last")
        )
        assert out is not None
        assert last is not None
        return out.squeeze(2), last

    def acting(self, obs: Array, hidden: Tensor, dt: Tensor) -> Acting:
        """Prepare to act in training; see :class:`velora.models.acting.Acting`."""
        return Acting(self.learner.networks["actor"], self.exploration, obs, hidden, dt)

    @cached_property
    def _prediction_noise(self) -> np.random.Generator:
        return seeding.generator(self.seeds[0], "prediction")

    def predict(
        self, state: Any, hidden: Any = None, *, dt: float | Array | Tensor | None = None, explore: bool = False
    ) -> tuple[Any, Any]:
        """Choose the action for an observation, in the environment's units.

        Pass the returned hidden state back in at the next step; pass ``None`` when an episode begins.

        Shapes:
            state: (O,) or (B, O), NumPy, a sequence or torch. hidden: (H,) or (B, H), or ``None``.
            returns: action (A,) or (B, A) and hidden (H,) or (B, H), NumPy, or torch if ``state`` was.

        Args:
            dt: time since the observation before, in control steps; ``None`` is 1, a regular step.
            explore: add Gaussian noise of the deviation used in training, independent from step to step.

        Raises:
            ShapeError: if a shape doesn't fit the agent.
            SettingError: if the agent holds several seeds; take one with ``agent.seed(k)``.
        """
        if self.n_seeds > 1:
            raise SettingError(f"predict: this agent holds {self.n_seeds} seeds; choose one with agent.seed(k)")
        own = {"state_dim": self.settings.state_dim, "state_size": self.state_size, "device": self.device}
        obs, h, times = prediction.rows(state, hidden, dt, **own)
        action, h = self.act(obs, h, times)
        chosen = action[0].cpu().numpy()
        if explore:
            chosen = chosen + self.settings.noise_std * self._prediction_noise.standard_normal(chosen.shape)
        scaled = self.bounds.to_environment(chosen.clip(-1.0, 1.0))
        if np.ndim(state) == 1:
            scaled, h = scaled[0], h[:, 0]
        if isinstance(state, Tensor):
            return torch.from_numpy(scaled).to(self.device), h[0].clone()
        return scaled, h[0].cpu().numpy()

    # ---------------------------------------------------------------------------------------------------- learning

    def settings_dict(self) -> dict[str, Any]:
        """Return the constructor settings as JSON."""
        values: dict[str, Any] = self.settings.model_dump(mode="json")
        return values

    def adapt(self, env: gym.Env[Any, Any]) -> None:
        """Check that an environment fits, and take over its name and the units of its actions.

        Raises:
            SpaceError: if it doesn't fit.
        """
        self.bounds = envs.check_spaces(env, state_dim=self.settings.state_dim, action_dim=self.settings.action_dim)
        self.environment = envs.describe(env)

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
            threads: of the native kernel; more than there are seeds don't help.
        """
        _ = self.buffer
        self.threads = threads
        self._are_ready = ()
        networks, optimizers = list(self.learner.networks.values()), list(self.optimizers.values())
        self._runs_as_program = self._replays and learning.can_replay(self.kernel, networks, optimizers)

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

    def sampling(self, batch_size: int) -> Array:
        """Draw which windows the next batch of every seed holds.

        Shapes:
            returns: (S, B), in [0, 1); the same memory at every call.
        """
        if batch_size not in self._sampling:
            self._sampling[batch_size] = Stream(self.seeds, "sampling", lambda g, out: g.random(out=out), (batch_size,))
        return self._sampling[batch_size].at([p.update for p in self.progress])

    def optimize(self, name: str, loss: Tensor, backward: Callable[[], None] | None = None) -> None:
        """Take one optimizer step of one network, firing Lightning's hooks around it in Lightning's order.

        Only that network's parameters get gradients, whatever else the loss runs through.

        Shapes:
            loss: (S,); summed here, since seeds share no parameter.

        Args:
            backward: writes the network's gradient; ``None`` asks autograd for that of the loss.
        """
        _ = self.optimizers
        self.learner.optimize(name, loss, backward, self.hooks, self.settings.grad_clip)

    def begin_learning(self, batch_size: int, rows: tuple[int, ...]) -> None:
        """Begin an update of these seeds, from what is stored now; :meth:`finish_learning` has to follow.

        Where no hook looks into it, it runs as one program, on other threads if there are any. Until it is finished,
        nothing may be acted, stored or saved.
        """
        self.learner.rows = rows
        self._update = None
        if self._runs_as_program and not self.hooks.look_into_updates:
            uniform = self.sampling(batch_size)
            self._update = self.learner.program(batch_size, self._window, self.buffer, uniform, self.training_step)
            self._update.program.start(rows, self.threads)

    def finish_learning(self, batch_size: int, update: int) -> Metrics:
        """Wait for the update, or make it now, with the hooks around it.

        A program's metrics and batch are overwritten by the next update.
        """
        hooks = self.hooks
        if self._update is not None:
            self._update.program.wait()
            metrics, batch = self._update.metrics, self._update.batch
        else:
            batch = self.buffer.sample(self.sampling(batch_size), self._window, self.device)
            for hook in hooks.on_train_batch_start:
                hook(batch, update)
            metrics = self.training_step(batch)
        for hook in hooks.on_train_batch_end:
            hook(metrics, batch, update)
        return metrics

    def train(
        self,
        env: EnvLike,
        batch_size: int,
        *,
        n_episodes: int | None = None,
        n_steps: int | None = None,
        window_size: int = 10,
        evaluate_every: int | None = None,
        evaluation_episodes: int = 10,
        callbacks: Sequence[Callback] | None = None,
        logger: Logger | Sequence[Logger] | None = None,
        run_dir: str | Path | None = None,
        resume: str | Path | None = None,
        progress_bar: bool = True,
        summary: bool = True,
        log_every: int = 100,
        threads: int | None = None,
    ) -> TrainResult:
        """Train in an environment; show progress; return what happened.

        Args:
            env: a Gymnasium environment, a registered id, or a function that makes one.
            batch_size: windows in one update (B).
            n_episodes: episodes to train for, for each seed; ``None`` is 100, or no limit where ``n_steps`` is given.
            n_steps: environment steps at which to stop if that comes first; ``None`` for no limit.
            window_size: episodes in the moving statistics of the return.
            evaluate_every: episodes between evaluations; ``None`` for none.
            evaluation_episodes: episodes in one evaluation, always with the same reset seeds.
            callbacks: ours, or stock ones of Lightning.
            logger: Lightning loggers.
            run_dir: where to keep ``metrics.db``; ``None`` keeps metrics in memory only.
            resume: a checkpoint, or a directory of checkpoints, to go on from as if never stopped.
            progress_bar: show one.
            summary: print what is trained, before it starts.
            log_every: updates between two rows to the loggers.
            threads: to compute on; ``None`` is one more than there are seeds, at most as many as there are cores.

        Raises:
            SettingError, SpaceError: if settings or environment don't fit; nothing is written then.
            CheckpointError: if ``resume`` can't be gone on from.
        """
        from velora.training.trainer import Trainer  # predicting needs none of what it imports

        trainer = Trainer(
            batch_size=batch_size,
            n_episodes=n_episodes,
            n_steps=n_steps,
            window_size=window_size,
            evaluate_every=evaluate_every,
            evaluation_episodes=evaluation_episodes,
            callbacks=callbacks,
            logger=logger,
            run_dir=run_dir,
            progress_bar=progress_bar,
            summary=summary,
            log_every=log_every,
            threads=threads,
        )
        return trainer.fit(self, env, resume=resume)

    # ------------------------------------------------------------------------------------------- saving and loading

    def seed(self, index: int) -> Self:
        """Copy the agent at one position of the seed axis out, as an ordinary agent of one seed.

        The replay buffer and the generators stay behind: the copy is for acting, evaluating and saving.

        Raises:
            SettingError: if there is no such position.
        """
        if not 0 <= index < self.n_seeds:
            raise SettingError(f"seed: expected a position from 0 to {self.n_seeds - 1}, got {index}")
        own: dict[str, Any] = {"device": self.device, "kernel": self.kernel, "seed": self.seeds[index]}
        alone = type(self)(**self.settings.model_dump(), **own)
        persistence.copy_seed(self, index, alone)
        return alone

    def optimizer_tensors(self, seed_index: int) -> persistence.OptimizerState:
        """Return what the optimizers keep for one seed; empty before that seed's first update."""
        if not self.learner.optimizers:
            return self._optimizer_state.get(seed_index, {})
        return learning.optimizer_state(self.learner.optimizers, seed_index)

    def load_optimizer_tensors(self, state: persistence.OptimizerState, seed_index: int = 0) -> None:
        """Take over saved optimizer state; the optimizers themselves are built when training needs them."""
        if self.learner.optimizers:
            learning.load_optimizer_state(self.learner.optimizers, seed_index, state)
        else:
            self._optimizer_state[seed_index] = state

    def generators(self, seed_index: int) -> dict[str, np.random.Generator]:
        """Name the generators of one seed that have to be restored; ours draw by position and need none."""
        return {}

    def training_state(self, seed_index: int) -> dict[str, Any]:
        """Return what an exact resume needs besides weights, optimizers, buffer and generators."""
        return {"exploration": self.exploration.state_dict(seed_index)}

    def load_training_state(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take that over."""
        self.exploration.load_state_dict(state["exploration"], seed_index)

    def save_training(
        self, dirpath: Path, *, seed_index: int, buffer: bool, config: bool, train_state: persistence.TrainState
    ) -> Path:
        """Write a checkpoint of one seed together with the state of its run; the trainer calls it."""
        return persistence.write(
            self, dirpath, seed_index=seed_index, buffer=buffer, config=config, train_state=train_state
        )

    def restore(self, checkpoint: Checkpoint, *, buffer: bool, seed_index: int = 0) -> list[str]:
        """Become the agent of a checkpoint at one position of the seed axis, but keep the settings this one was given.

        Returns:
            One line for each setting that differs.

        Raises:
            CheckpointError: if the checkpoint is another agent's, or a tensor doesn't fit.
        """
        if checkpoint.metadata.agent != self.key:
            raise CheckpointError(
                f"{checkpoint.path}: holds a {checkpoint.metadata.agent!r}, this agent is a {self.key!r}"
            )
        persistence.read(self, checkpoint, buffer=buffer, seed_index=seed_index)
        self.exploration.reseed(self.seeds)
        for stream in self._sampling.values():
            stream.reseed(self.seeds)
        return persistence.differences(checkpoint.metadata.settings, self.settings_dict())

    def save(self, dirpath: str | Path, *, buffer: bool = False, config: bool = False, overwrite: bool = True) -> Path:
        """Write the agent to a directory, all of it or nothing.

        An existing checkpoint there is replaced in one step. If that one holds the same weights and a replay buffer,
        and this call saves none, its buffer stays.

        Args:
            dirpath: the directory of this checkpoint, such as ``checkpoints/ddpg-InvertedPendulum/ep10``.
            buffer: save the replay buffer too.
            config: write ``model_config.json``, an overview of the agent, in the directory above (once).
            overwrite: ``False`` refuses to replace an existing checkpoint.

        Raises:
            CheckpointError: if the directory holds anything else, or can't be written.
            SettingError: if the agent holds several seeds; save one with ``agent.seed(k).save(...)``.
        """
        if self.n_seeds > 1:
            raise SettingError(f"save: this agent holds {self.n_seeds} seeds; save one with agent.seed(k).save(...)")
        return persistence.write(self, Path(dirpath), buffer=buffer, config=config, overwrite=overwrite)

    @classmethod
    def load(
        cls,
        dirpath: str | Path,
        *,
        buffer: bool = False,
        device: str | torch.device | None = None,
        kernel: str = "auto",
    ) -> Self:
        """Read an agent from a directory that :meth:`save` or a training run wrote.

        Every byte is checked first; nothing in the files is ever run.

        Args:
            dirpath: the checkpoint directory.
            buffer: load the replay buffer too.
            device: where to put it; ``None`` chooses.
            kernel: what computes; see the constructor.

        Raises:
            FileNotFoundError: if there is no such checkpoint.
            CheckpointError: if it is damaged, of another agent, or has no buffer where one was asked for.
        """
        checkpoint = Checkpoint.open(Path(dirpath), agent=cls.key)
        try:
            settings: dict[str, Any] = dict(checkpoint.metadata.settings)
            agent = cls(**settings, device=device, kernel=kernel, seed=checkpoint.metadata.seed)
        except (SettingError, TypeError) as error:
            raise CheckpointError(f"{checkpoint.path}: settings: {error}") from error
        persistence.read(agent, checkpoint, buffer=buffer)
        return agent


def _check_seeds(seed: int | None, seeds: Iterable[int] | None) -> tuple[int, ...]:
    if seeds is None:
        return (seeding.default_seed() if seed is None else seeding.check_seed(seed),)
    if not isinstance(seeds, Iterable):
        raise SettingError(f"seeds: expected several whole numbers, such as range(5), got {seeds!r}")
    if seed is not None:
        raise SettingError("seeds: give seed= for one agent or seeds= for several, not both")
    checked = tuple(seeding.check_seed(s) for s in seeds)
    if not checked:
        raise SettingError("seeds: expected at least one, got none")
    if len(set(checked)) < len(checked):
        twice = next(seed for seed, count in Counter(checked).items() if count > 1)
        raise SettingError(f"seeds: expected none twice, got {twice} more than once")
    return checked
