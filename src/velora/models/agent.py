"""Base of all agents: settings, networks with a seed axis, an experience, training; acting and saving besides."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import Tensor

from velora import envs, kernels
from velora.callbacks.base import Callback
from velora.core import autograd, seeding
from velora.core.devices import set_device
from velora.core.errors import SettingError
from velora.core.types import Counters, Metrics
from velora.models import idle
from velora.models.acting import ActingAgent
from velora.models.draws import Draws
from velora.models.exploration import CorrelatedNoise, Explorer
from velora.models.learner import Learner
from velora.models.normalisation import make_normaliser
from velora.models.optimizers import OPTIMIZERS, SeedOptimizer
from velora.models.options import Settings
from velora.models.saving import SavedAgent
from velora.models.signatures import run_arguments, show_settings
from velora.models.tuning import Tuning
from velora.training.experience import Experience
from velora.training.hook_table import NO_HOOKS
from velora.training.result import TrainResult

if TYPE_CHECKING:
    import gymnasium as gym

    from velora.envs.make import EnvLike
    from velora.training.loggers import Asked


class Agent(ActingAgent, SavedAgent):
    """An agent: networks, what it learns from, how it tries things, and how one update goes.

    A subclass says these four: :meth:`configure_networks`, :meth:`learning_rates`, :meth:`configure_experience` and
    :meth:`training_step`; where its actor puts out anything but actions also :meth:`configure_exploration`.

    An agent isn't an ``nn.Module``, which owns ``train`` already; it holds modules. Every parameter, buffer and batch
    carries the seed axis S first.

    A subclass with ``replays=True`` promises that all arithmetic of its ``training_step`` is calls of
    ``self.learner``: its networks, backend and optimizers. Such a step is recorded once, without being computed, and
    replayed from then on (like a CUDA graph). A subclass with a ``training_step`` of its own doesn't inherit this.
    """

    _replays: ClassVar[bool] = False

    def __init_subclass__(cls, *, replays: bool | None = None, **rest: Any) -> None:
        """Keep whether updates may be replayed, and show the settings in the signature and the docstring."""
        super().__init_subclass__(**rest)
        if replays is not None or "training_step" in cls.__dict__:
            cls._replays = bool(replays)
        if cls.settings_type is not Settings:
            show_settings(cls, cls.settings_type)

    @autograd.as_by_default()
    def __init__(self, state_dim: int, n_neurons: int, action_dim: int, **settings: Any) -> None:
        if not self.key or self.settings_type is Settings:
            raise SettingError(
                f"{type(self).__name__}: expected a key and a settings_type, which checkpoints go by; give it both, "
                'such as key = "my_agent", and put @velora.register before it'
            )
        sizes = {"state_dim": state_dim, "n_neurons": n_neurons, "action_dim": action_dim}
        run = {one.name: settings.pop(one.name, one.default) for one in run_arguments()}
        self.settings = self.settings_type.check(sizes | settings, beside=run)
        idle.check(type(self), dict(self.settings))
        self.optimizer_kind = OPTIMIZERS.get(self.settings.optimizer)
        self.seeds = seeding.check_seeds(run["seed"], run["seeds"])
        self.chose_seeds = seeding.are_chosen(run["seed"], run["seeds"])
        self.device = set_device(run["device"])
        self.kernel = kernels.choose(run["kernel"], self.device, sees_images=self.sees_images)
        self.threads, self.record, self.learns_policy = 1, True, True
        self.wirings, self.environment, self.hooks = {}, None, NO_HOOKS
        self.bounds = envs.default_units(self.settings.action_dim, discrete=self.discrete)
        self.progress = [Counters() for _ in self.seeds]
        self.draws = Draws(self.seeds, self.progress, self.device, on_device=self.keeps_on_device)
        self.exploration = self.configure_exploration()
        self.experience = self.configure_experience()
        if self.n_seeds > 1:
            self.experience.check_memory()
        networks, tells_time = self.configure_networks(), self.settings.time in ("gate", "both")
        self.learner = Learner(networks, self.target_names(networks), self.device, self.kernel, tells_time=tells_time)
        self.normaliser = make_normaliser(self.settings, self.n_seeds, self.n_envs)
        self.tuning = Tuning(self)

    @abstractmethod
    def configure_experience(self) -> Experience:
        """Build the agent's experience, such as ``Replay(self)``; networks are built after it."""

    @abstractmethod
    def training_step(self, batch: Any) -> Metrics:
        """Make one update from what the experience gives; return detached metrics of shape (S,)."""

    def configure_exploration(self) -> Explorer:
        """Make the exploration strategy; here random actions during warm-up, then correlated noise on the actor's."""
        s = self.settings
        own = {"final_std": s.noise_final_std, "decay_steps": s.noise_decay_steps, "correlation": s.noise_correlation}
        return CorrelatedNoise(self.seeds, s.action_dim, std=s.noise_std, **own)

    def target_names(self, networks: Iterable[str]) -> Iterable[str]:
        """Name those networks that have a slowly following target, ``"target_<name>"``; here all."""
        return networks

    @property
    def replays(self) -> bool:
        """Return whether updates may be recorded once and replayed."""
        return self._replays

    def improves_policy(self, update: int) -> bool:
        """Return whether an update of a seed, counted from 0, is one of its policy too; here every one is."""
        return True

    def training_state(self, seed_index: int) -> dict[str, Any]:
        """Return what an exact resume needs besides weights, optimizers and buffer, as JSON and tensors."""
        return self.experience.state_dict(seed_index)

    def load_training_state(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take that over."""
        self.experience.load_state_dict(state, seed_index)

    def generators(self, seed_index: int) -> dict[str, np.random.Generator]:
        """Name the generators of one seed that have to be restored; ours draw by position and need none."""
        return {}

    @property
    def optimizers(self) -> dict[str, SeedOptimizer]:
        """The optimizers, built when training first needs them."""
        return self.learner.make_optimizers(self.optimizer_kind, self.learning_rates())

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Draw standard normal numbers for an update, (S, *shape) on the device; see :class:`Draws` for others."""
        return self.draws.normal(purpose, *shape)

    def adapt(self, env: gym.Env[Any, Any]) -> None:
        """Check that an environment fits, and take over its name and the units of its actions.

        Raises:
            SpaceError: if it doesn't fit.
        """
        self.learner.held.take_over()
        s = self.settings
        self.bounds = envs.check_spaces(
            env,
            state_dim=s.state_dim,
            action_dim=s.action_dim,
            discrete=self.discrete,
            **({"chooses": "make this agent with discrete=True"} if "discrete" in type(s).model_fields else {}),
        )
        if self.sees_images:
            envs.check_image(env, s.image, s.image_range)
        envs.check_privileged(env, s.privileged)
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

    def configure_training(self, *, threads: int = 1) -> None:
        """Build what only training needs; ``threads`` of the native kernel help up to one for each seed.

        Raises:
            SettingError: if something was done to a network that training would ignore.
        """
        self.threads = threads
        self.learner.held.look_before_training()
        self.learner.norms = None
        self.experience.prepare()
        self.tuning.clear()

    def check_tunable(self, name: str, values: Sequence[float]) -> None:
        """Check that a setting may change to these values while the agent trains.

        Raises:
            SettingError: if it may not.
        """
        self.tuning.check(name, values)

    def tune(self, name: str, value: float, *, seed_index: int = 0) -> None:
        """Change a setting of one seed for the rest of this training; ``settings`` stays as it is."""
        self.tuning.change(seed_index, name, value)

    def current_learning_rates(self, seed_index: int = 0) -> dict[str, float]:
        """Return the learning rate of every network, as an update of this seed would use it."""
        return self.tuning.rates(seed_index)

    def keep_gradient_norms(self) -> None:
        """Have the norms of gradients kept for the rest of this training."""
        self.learner.norms = {}

    def gradient_norms(self, seed_index: int = 0) -> dict[str, float]:
        """Return the norm of every network's newest gradient of a seed, before clipping; this waits for the device."""
        return {name: float(norms[seed_index]) for name, norms in (self.learner.norms or {}).items()}

    @autograd.as_by_default()
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
        evaluation_max_steps: int = 100_000,
        callbacks: Callback | Sequence[Callback] | None = None,
        logger: Asked = None,
        run_dir: str | Path | None = None,
        resume: str | Path | None = None,
        progress_bar: bool = True,
        summary: bool = True,
        log_every: int = 100,
        threads: int | None = None,
        workers: int = 0,
        worker_timeout_s: float = 60.0,
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
            evaluation_max_steps: steps after which an episode of evaluation is cut, if the environment sets no end.
            callbacks: one or several, ours or stock ones of Lightning.
            logger: ``"csv"`` (or ``True``), ``"tensorboard"``, ``"wandb"``, ``"mlflow"``, ``"trackio"``, ``"comet"``, a
                list of them, settings by name as in ``{"wandb": {"project": "mine"}}``, or loggers of Lightning's.
            run_dir: where to keep ``metrics.db``; ``None`` keeps metrics in memory only.
            resume: a checkpoint, or a directory of checkpoints, to go on from as if never stopped.
            progress_bar: show one.
            summary: print what is trained, before it starts.
            log_every: updates between two rows to the loggers.
            threads: to compute on; ``None`` is one more than there are seeds, at most as many as there are cores.
            workers: processes to step environments in, if a step takes more than a millisecond; 0 has them here.
            worker_timeout_s: seconds that an environment in a worker may take to be made, to reset or to step.

        Raises:
            SettingError, SpaceError: if settings, environment or networks don't fit; nothing is written then, unless it
                shows only when the environment steps.
            CheckpointError: if ``resume`` can't be gone on from.
            NonFiniteError: if every seed has met NaN or infinity.
            WorkerError: if a worker ends or doesn't answer.
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
            evaluation_max_steps=evaluation_max_steps,
            callbacks=callbacks,
            logger=logger,
            run_dir=run_dir,
            progress_bar=progress_bar,
            summary=summary,
            log_every=log_every,
            threads=threads,
            workers=workers,
            worker_timeout_s=worker_timeout_s,
        )
        return trainer.fit(self, env, resume=resume)
