"""What agents share that learn from what they have just lived: the rollout, the draw of actions, when to learn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from velora.buffers import Rollout, RolloutBuffer
from velora.buffers.budget import check_memory
from velora.core.errors import SettingError
from velora.core.types import Array, Metrics
from velora.models.acting import Acting
from velora.models.agent import Agent
from velora.models.exploration import RolloutSampling
from velora.models.normalisation import Normaliser
from velora.nn.networks.images import reader
from velora.nn.networks.policies import LiquidHead
from velora.ops.policies import Categorical, Distribution, Gaussian, draw_categorical, draw_gaussian, likeliest


class OnPolicyAgent(Agent):
    """Act by drawing from the policy, and learn in the step after a seed's rollout has become full.

    A seed may act in several environments at once (``n_envs``), which take their steps together. A step of it is then E
    environment steps.

    One such learning phase, however many gradient steps it makes, counts as one update (``progress[k].update``), and
    the hooks of a training batch fire once around it, with the whole rollout as their batch.
    """

    def __init__(self, settings: dict[str, Any], **own: Any) -> None:
        super().__init__(settings, **own)
        self._sampling: RolloutSampling | None = None
        self._buffer: RolloutBuffer | None = None
        self._due: tuple[int, ...] = ()
        self._metrics: dict[str, Tensor] = {}

    @abstractmethod
    def learn(self, rollout: Rollout, batch_size: int, rows: tuple[int, ...]) -> Metrics:
        """Learn from full rollouts.

        Shapes:
            rollout: (S, E, T, ...).
            returns: detached metrics of shape (S,).

        Args:
            batch_size: steps in one minibatch.
            rows: positions of the seeds whose rollouts they are; those of the others mean nothing.
        """

    def target_names(self, networks: Iterable[str]) -> Iterable[str]:
        """Name none: no network has a slowly following target."""
        return ()

    @property
    def n_envs(self) -> int:
        """Environments that each seed acts in at once (E)."""
        return int(self.settings.n_envs)

    @property
    def discrete(self) -> bool:
        """Tell whether actions are choices, or numbers."""
        return bool(self.settings.discrete)

    @property
    def policy(self) -> LiquidHead:
        """The network that acts."""
        return cast(LiquidHead, reader(self.networks["actor"]))

    # -------------------------------------------------------------------------------------------------------- acting

    def distribution(self, out: Tensor) -> Distribution:
        """Say how actions are spread, by what the actor puts out, (S, B, T, K)."""
        log_std = self.policy.log_std
        return Categorical(out) if log_std is None else Gaussian(out, log_std.detach())

    def greedy(self, out: Tensor) -> Tensor:
        """Take the mean, or the likeliest action."""
        return likeliest(out) if self.discrete else out

    def explored(self, out: Array, generator: np.random.Generator) -> Array:
        """Draw from the policy."""
        log_std = self._log_std()
        if log_std is None:
            return draw_categorical(out, generator.random((len(out), 1)))[0]
        return draw_gaussian(out, log_std[:1], generator.standard_normal(out.shape))[0]

    def _log_std(self) -> Array | None:
        log_std = self.policy.log_std
        return None if log_std is None else log_std.detach().cpu().numpy()

    def acting(self, obs: Array, hidden: Tensor, dt: Array) -> Acting:
        """Prepare to act in training; see :class:`velora.models.acting.Acting`."""
        log_prob = self.buffer.incoming["log_prob"]
        self._sampling = RolloutSampling(
            self.seeds, self.settings.action_dim, n_envs=self.n_envs, log_std=self._log_std, log_prob=log_prob
        )
        actor = self.learner.networks["actor"]
        return Acting(actor, self._sampling, obs, hidden, dt, normaliser=self.normaliser)

    def begin_episode(self, seed_index: int) -> None:
        """Do nothing: draws don't depend on each other."""

    def warming_up(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """Choose none: the policy is random enough from the first step."""
        return ()

    # ---------------------------------------------------------------------------------------------------- experience

    def check_memory(self) -> None:
        """Refuse more seeds than memory holds, before anything is made for them."""
        s, n = self.settings, self.state_size_of_one()
        width = self.n_envs * RolloutBuffer.width(
            obs_dim=self.obs_dim, action_dim=self.action_width, state_size=n, as_bytes=self.stores_bytes
        )
        check_memory(
            self.n_seeds, capacity=s.rollout_steps, row_width=width, purpose="rollouts", setting="rollout_steps"
        )

    @property
    def buffer(self) -> RolloutBuffer:
        """The rollouts, allocated when they are first needed."""
        if self._buffer is None:
            s = self.settings
            if self.sees_images:
                self.check_memory()
            self._buffer = RolloutBuffer(
                s.rollout_steps,
                n_seeds=self.n_seeds,
                n_envs=self.n_envs,
                obs_dim=self.obs_dim,
                action_dim=self.action_width,
                state_size=self.state_size,
                as_bytes=self.stores_bytes,
            )
        return self._buffer

    # ------------------------------------------------------------------------------------------------------ learning

    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a minibatch that no rollout fills, or that holds no whole window.

        Raises:
            SettingError: if it is one of these, or a single step.
        """
        s = self.settings
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

    def configure_training(self, *, threads: int = 1) -> None:
        """Build what only training needs."""
        _ = self.buffer, self.optimizers
        self.threads = threads

    def due(self, rows: tuple[int, ...], batch_size: int) -> tuple[int, ...]:
        """Choose, of these seeds, those whose rollout is full."""
        return tuple(k for k in rows if self.buffer.is_full(k))

    def begin_learning(self, batch_size: int, rows: tuple[int, ...]) -> None:
        """Note who learns; :meth:`finish_learning` has to follow.

        The action of this step was drawn before, and stays in the next rollout with the probability it was drawn with.
        """
        self._due = rows

    def finish_learning(
        self, batch_size: int, update: int, count: Callable[[Metrics], None] = lambda metrics: None
    ) -> Metrics:
        """Learn, with the hooks around it, and begin new rollouts. The batch is overwritten by those.

        Observations are learned from as the policy saw them, with the statistics of the rollouts before; those of this
        one are counted in the end. Only a rollout's first step was seen with statistics one rollout older, since it
        was acted on before this. Its rewards, which nothing has been done from yet, are counted first.
        """
        rows, hooks, raw = self._due, self.hooks, self.buffer.read(self.device)
        rollout = raw if self.normaliser is None else self._normalised(raw, rows, self.normaliser)
        for hook in hooks.on_train_batch_start:
            hook(rollout, update)
        with torch.no_grad():
            metrics = self.learn(rollout, batch_size, rows)
            learned = torch.zeros(self.n_seeds, dtype=torch.bool, device=self.device)
            learned[list(rows)] = True
            known = self._metrics
            self._metrics = {n: torch.where(learned, m, known.get(n, m)) for n, m in metrics.items()}
        if self.normaliser is not None:
            for k in rows:
                self.normaliser.count_observations((k,), raw.obs[k].flatten(0, 1)[None].cpu().numpy())
        self.buffer.clear(rows)
        count(self._metrics)
        for hook in hooks.on_train_batch_end:
            hook(self._metrics, rollout, update)
        return self._metrics

    @staticmethod
    def _normalised(raw: Rollout, rows: tuple[int, ...], normaliser: Normaliser) -> Rollout:
        for k in rows:
            lived = (getattr(raw, name)[k : k + 1].cpu().numpy() for name in ("reward", "dt", "start"))
            normaliser.count_rewards((k,), *lived)
        return normaliser.fitted(raw)

    # ------------------------------------------------------------------------------------------------------ resuming

    def training_state(self, seed_index: int) -> dict[str, Any]:
        """Return nothing: draws go by position."""
        return {}

    def load_training_state(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take nothing over."""

    def reseed(self) -> None:
        """Draw for the seeds that ``seeds`` names from now on."""
        if self._sampling is not None:
            self._sampling.reseed(self.seeds)
