"""What all agents share: networks with a seed axis, predicting, training, saving and loading."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from velora import envs, kernels
from velora.buffers import Buffer
from velora.callbacks.base import Callback
from velora.checkpoint import Checkpoint
from velora.core import seeding
from velora.core.devices import set_device
from velora.core.errors import CheckpointError, SettingError
from velora.core.types import Array, Counters, Metrics
from velora.envs import ActionUnits
from velora.models import idle, persistence, prediction
from velora.models.learner import Learner, load_optimizer_state, optimizer_state
from velora.models.normalisation import make_normaliser
from velora.models.optimizers import OPTIMIZERS, SeedOptimizer
from velora.models.settings import Settings
from velora.nn.networks.images import FEATURES, reader
from velora.nn.networks.policies import LiquidActor, LiquidHead
from velora.nn.parameters import count_parameters
from velora.training.hooks import NO_HOOKS, HookTable
from velora.training.result import TrainResult

if TYPE_CHECKING:
    import gymnasium as gym
    from lightning.pytorch.loggers import Logger

    from velora.envs.make import EnvLike
    from velora.training.protocol import Acting

Policy: TypeAlias = LiquidActor | LiquidHead


class Agent(ABC):
    """Hold networks; subclasses say which, what they learn from, and how one update goes.

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
        normaliser: of observations and rewards; ``None`` where both are taken as they are.
        bounds: of the actions of that environment, or how many there are; [-1, 1], or those from 0 on, before.
        progress: episodes, environment steps and updates lived so far, by seed.
    """

    key: ClassVar[str]
    settings_type: ClassVar[type[Settings]]
    settings: Any

    def __init__(
        self,
        settings: dict[str, Any],
        *,
        device: str | torch.device | None = None,
        kernel: str = "auto",
        seed: int | None = None,
        seeds: Iterable[int] | None = None,
    ) -> None:
        if not (hasattr(self, "key") and hasattr(self, "settings_type")):
            raise SettingError(
                f"{type(self).__name__}: expected a key and a settings_type, which checkpoints go by; give it both, "
                'such as key = "my_agent", and put @velora.checkpoint.agents.register("my_agent") before it'
            )
        self.settings = self.settings_type.check(settings)
        idle.check(type(self), dict(self.settings))
        self.optimizer_kind = OPTIMIZERS.get(self.settings.optimizer)
        self.seeds = _check_seeds(seed, seeds)
        self.device = set_device(device)
        self.wirings: dict[str, str] = {}
        self.kernel = kernels.choose(kernel, self.device, sees_images=self.sees_images)
        self.threads = 1
        if self.n_seeds > 1:
            self.check_memory()
        networks = self.configure_networks()
        tells_time = self.settings.time in ("gate", "both")
        followed = self.target_names(networks)
        self.learner = Learner(networks, followed, self.device, self.kernel, tells_time=tells_time)
        self.networks = self.learner.modules
        self.normaliser = make_normaliser(self.settings, self.n_seeds, self.n_envs)
        self.environment: dict[str, Any] | None = None
        self.bounds: ActionUnits = envs.default_units(self.settings.action_dim, discrete=self.discrete)
        self.progress = [Counters() for _ in self.seeds]
        self.hooks: HookTable = NO_HOOKS
        self._optimizer_state: dict[int, persistence.OptimizerState] = {}

    # ------------------------------------------------------------------------------------------- what subclasses say

    @abstractmethod
    def configure_networks(self) -> dict[str, nn.Module]:
        """Build the trained networks by name, ``"actor"`` among them."""

    def target_names(self, networks: Iterable[str]) -> Iterable[str]:
        """Name those networks that have a slowly following target, ``"target_<name>"``; here all."""
        return networks

    @abstractmethod
    def learning_rates(self) -> Mapping[str, float]:
        """Name the trained networks with their learning rates."""

    @abstractmethod
    def check_memory(self) -> None:
        """Refuse more seeds than memory holds, before anything is made for them.

        Raises:
            SettingError: if there are too many.
        """

    @property
    @abstractmethod
    def buffer(self) -> Buffer:
        """Where experience goes, allocated when it is first needed."""

    @abstractmethod
    def greedy(self, out: Tensor) -> Tensor:
        """Turn what the actor puts out, (..., K), into the action that it prefers.

        Shapes:
            returns: (..., A) in [-1, 1], or the number of a discrete one, (..., 1).
        """

    @abstractmethod
    def explored(self, out: Array, generator: np.random.Generator) -> Array:
        """Turn what the actor puts out, (B, K), into an action to try, shaped as by :meth:`greedy`."""

    def store(self, rows: tuple[int, ...]) -> None:
        """Keep the buffer's ``incoming`` transition of these seeds; here that is all."""
        self.buffer.append(rows)

    @abstractmethod
    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a batch that can never be filled."""

    @abstractmethod
    def configure_training(self, *, threads: int = 1) -> None:
        """Build what only training needs."""

    @abstractmethod
    def acting(self, obs: Array, hidden: Tensor, dt: Array) -> Acting:
        """Prepare to act in training."""

    @abstractmethod
    def begin_episode(self, seed_index: int) -> None:
        """Forget what belongs to the episode before."""

    @abstractmethod
    def warming_up(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """Choose, of these seeds, those whose next action is drawn at random."""

    @abstractmethod
    def due(self, rows: tuple[int, ...], batch_size: int) -> tuple[int, ...]:
        """Choose, of these seeds, those that learn during this step."""

    @abstractmethod
    def begin_learning(self, batch_size: int, rows: tuple[int, ...]) -> None:
        """Begin an update of these seeds, from what is stored now."""

    @abstractmethod
    def finish_learning(
        self, batch_size: int, update: int, count: Callable[[Metrics], None] = lambda metrics: None
    ) -> Metrics:
        """Wait for the update, with the hooks around it; return detached metrics of shape (S,).

        Args:
            batch_size: as the update was begun with.
            update: updates made before this one.
            count: is called with the metrics once the update is made, before ``on_train_batch_end`` fires.
        """

    @abstractmethod
    def training_state(self, seed_index: int) -> dict[str, Any]:
        """Return what an exact resume needs besides weights, optimizers and buffer, as JSON."""

    @abstractmethod
    def load_training_state(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take that over."""

    @abstractmethod
    def reseed(self) -> None:
        """Draw for the seeds that ``seeds`` names from now on."""

    # ------------------------------------------------------------------------------------------------------- parts

    def init_generators(self, network: str) -> list[torch.Generator]:
        """Make the generators that draw a network's first weights, one for each seed."""
        return [seeding.torch_generator(s, f"init {network}") for s in self.seeds]

    @property
    def n_seeds(self) -> int:
        """Number of agents trained side by side (S)."""
        return len(self.seeds)

    @property
    def n_envs(self) -> int:
        """Environments that each seed acts in at once (E); here one."""
        return 1

    @property
    def sees_time(self) -> bool:
        """Tell whether the time since the observation before is one more number of it, as its logarithm."""
        return self.settings.time in ("input", "both")

    @property
    def sees_images(self) -> bool:
        """Tell whether observations are images, which an encoder stands before the networks for."""
        return self.settings.image is not None

    @property
    def stores_bytes(self) -> bool:
        """Tell whether experience is kept with a byte for each number of an observation."""
        return self.sees_images and self.settings.image_range is None

    @property
    def obs_dim(self) -> int:
        """Numbers of an observation as it is stored (O), with the time where that is one of them."""
        dim: int = self.settings.state_dim + self.sees_time
        return dim

    @property
    def n_features(self) -> int:
        """Numbers that the networks read: an observation's, or what an encoder makes of an image."""
        return FEATURES if self.sees_images else self.obs_dim

    @property
    def optimizers(self) -> dict[str, SeedOptimizer]:
        """The optimizers, built when training first needs them."""
        if not self.learner.optimizers:
            self.learner.make_optimizers(self.optimizer_kind, self.learning_rates())
            for k, state in self._optimizer_state.items():
                load_optimizer_state(self.learner.optimizers, k, state)
            self._optimizer_state = {}
        return self.learner.optimizers

    @property
    def policy(self) -> Policy:
        """The network that acts."""
        return cast(Policy, reader(self.networks["actor"]))

    @property
    def discrete(self) -> bool:
        """Tell whether actions are choices; here they are numbers."""
        return False

    @property
    def action_width(self) -> int:
        """Numbers in an action as it is stored: one for a choice."""
        return 1 if self.discrete else int(self.settings.action_dim)

    def state_size_of_one(self) -> int:
        """Count the recurrent state's numbers before the networks of all seeds are made."""
        every = self.seeds
        self.seeds = every[:1]
        actor = cast(Policy, reader(self.configure_networks()["actor"]))
        self.seeds = every
        return actor.cell.state_size

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
            obs: (S, B, O), with the time where it is part of it. hidden: (S, B, H). dt: (S, B), in control steps.
            returns: action (S, B, A) in [-1, 1] or the number of a discrete one (S, B, 1), hidden (S, B, H).
        """
        out, last = self._respond(obs, hidden, dt)
        return self.greedy(out), last

    def _respond(self, obs: Tensor, hidden: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        if self.normaliser is not None:
            obs = self.normaliser.observations(obs)
        out, _, last = self.learner.networks["actor"].run(
            obs.unsqueeze(2), hidden=hidden, dt=dt.unsqueeze(2), wants=("out", "last")
        )
        assert out is not None
        assert last is not None
        return out.squeeze(2), last

    @cached_property
    def _prediction_noise(self) -> np.random.Generator:
        return seeding.generator(self.seeds[0], "prediction")

    def predict(
        self, state: Any, hidden: Any = None, *, dt: float | Array | Tensor | None = None, explore: bool = False
    ) -> tuple[Any, Any]:
        """Choose the action for an observation, in the environment's units.

        Pass the returned hidden state back in at the next step; pass ``None`` when an episode begins.

        Shapes:
            state: (O,) or (B, O), NumPy, a sequence or torch; of an agent that sees images also (*image) or
                (B, *image). hidden: (H,) or (B, H), or ``None``.
            returns: action (A,) or (B, A) and hidden (H,) or (B, H), NumPy, or torch if ``state`` was. A discrete
                action is a whole number: an ``int``, or (B,).

        Args:
            dt: time since the observation before, in control steps; ``None`` is 1, a regular step. An agent that reads
                it as a number of its own (``time="input"`` or ``"both"``) has to be told after an episode's first step.
            explore: try things as in training, but independently from step to step.

        Raises:
            ShapeError: if a shape doesn't fit the agent.
            SettingError: if the agent holds several seeds (take one with ``agent.seed(k)``), or ``dt`` is missing.
            NonFiniteError: if a number isn't finite.
        """
        if self.n_seeds > 1:
            raise SettingError(f"predict: this agent holds {self.n_seeds} seeds; choose one with agent.seed(k)")
        if self.sees_time and dt is None and hidden is not None:
            raise SettingError(
                f'predict: this agent has time="{self.settings.time}"; expected dt, the control steps since the '
                "observation before, got None"
            )
        if self.sees_images:
            state = prediction.flat(state, self.settings.image)
        own = {"state_dim": self.settings.state_dim, "state_size": self.state_size, "device": self.device}
        obs, h, times = prediction.rows(state, hidden, dt, **own)
        if self.sees_time:
            obs = torch.cat((obs, times.log().unsqueeze(2)), 2)
        with torch.inference_mode():
            out, h = self._respond(obs, h, times)
            chosen = self.greedy(out)[0].cpu().numpy()
        if explore:
            chosen = self.explored(out[0].cpu().numpy(), self._prediction_noise)
        scaled = self.bounds.to_environment(chosen)
        if np.ndim(state) == 1:
            scaled, h = scaled[0], h[:, 0]
        if isinstance(state, Tensor):
            return torch.as_tensor(scaled).to(self.device), h[0].clone()
        return int(scaled) if self.discrete and np.ndim(state) == 1 else scaled, h[0].cpu().numpy()

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
        s = self.settings
        self.bounds = envs.check_spaces(env, state_dim=s.state_dim, action_dim=s.action_dim, discrete=self.discrete)
        if self.sees_images:
            envs.check_image(env, s.image, s.image_range)
        self.environment = envs.describe(env)

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
            batch_size: windows in one update (B); of an agent that learns from rollouts, steps in one minibatch.
            n_episodes: episodes to train for, for each seed; ``None`` is 100, or no limit where ``n_steps`` is given.
            n_steps: environment steps at which to stop if that comes first, for each seed and in all its environments
                together; ``None`` for no limit.
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
            SettingError, SpaceError: if settings or environment don't fit; nothing is written then, unless it shows
                only when the environment steps.
            CheckpointError: if ``resume`` can't be gone on from.
        """
        before = random.getstate()
        from velora.training.trainer import Trainer  # predicting needs none of what it imports

        random.setstate(before)  # one of these, rich, draws from Python's generator when it is first imported

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
        if not isinstance(index, int | np.integer) or not 0 <= index < self.n_seeds:
            raise SettingError(f"seed: expected a position from 0 to {self.n_seeds - 1}, got {index!r}")
        own: dict[str, Any] = {"device": self.device, "kernel": self.kernel, "seed": self.seeds[index]}
        with idle.taken_over(is_known=True):
            alone = type(self)(**self.settings.model_dump(), **own)
        persistence.copy_seed(self, index, alone)
        return alone

    def optimizer_tensors(self, seed_index: int) -> persistence.OptimizerState:
        """Return what the optimizers keep for one seed; empty before that seed's first update."""
        if not self.learner.optimizers:
            return self._optimizer_state.get(seed_index, {})
        return optimizer_state(self.learner.optimizers, seed_index)

    def load_optimizer_tensors(self, state: persistence.OptimizerState, seed_index: int = 0) -> None:
        """Take over saved optimizer state; the optimizers themselves are built when training needs them."""
        if self.learner.optimizers:
            load_optimizer_state(self.learner.optimizers, seed_index, state)
        else:
            self._optimizer_state[seed_index] = state

    def generators(self, seed_index: int) -> dict[str, np.random.Generator]:
        """Name the generators of one seed that have to be restored; ours draw by position and need none."""
        return {}

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
        self.reseed()
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
            with idle.taken_over():
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
