"""How an agent acts: one step of its policy, in training, in evaluation and for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.core import seeding
from velora.core.errors import SettingError
from velora.core.types import Array
from velora.models import prediction
from velora.models.exploration import Explorer
from velora.models.normalisation import Normaliser
from velora.models.parts import AgentParts
from velora.nn.run.network import Network


class ActingAgent(AgentParts):
    """An agent that acts: ``policy`` is the pure function, ``act`` one step of it, ``predict`` that for people."""

    def policy(self, obs: Tensor, hidden: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """Run the actor one step.

        Shapes:
            obs: (S, B, O), with the time where it is part of it. hidden: (S, B, H). dt: (S, B), in control steps.
            returns: what the actor puts out (S, B, K), hidden (S, B, H).

        Raises:
            SettingError: if the actor was changed in a way that Velora can't compute with; see
                :class:`velora.nn.held.Held`.
        """
        self.learner.held.look_at("actor")
        if self.normaliser is not None:
            obs = self.normaliser.observations(obs)
        out, _, last = self.learner.networks["actor"].run(
            obs.unsqueeze(2), hidden=hidden, dt=dt.unsqueeze(2), wants=("out", "last")
        )
        assert out is not None
        assert last is not None
        return out.squeeze(2), last

    @torch.inference_mode()
    def act(self, obs: Tensor, hidden: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """Follow the policy one step, without noise.

        Shapes:
            obs: (S, B, O), with the time where it is part of it. hidden: (S, B, H). dt: (S, B), in control steps.
            returns: action (S, B, A) in [-1, 1] or the number of a discrete one (S, B, 1), hidden (S, B, H).
        """
        out, last = self.policy(obs, hidden, dt)
        return self.exploration.greedy(out), last

    def acting(self, obs: Array, hidden: Tensor, dt: Array) -> Callable[..., NDArray[np.float32]]:
        """Prepare to act in training; see :class:`Acting`."""
        actor = self.learner.networks["actor"]
        own: dict[str, Any] = {"normaliser": self.normaliser, "look": self._look_in_training}
        return Acting(actor, self.exploration, obs, hidden, dt, **own).act

    def _look_in_training(self) -> None:
        """Follow what was done to the trained networks since the last step, where a callback could do something."""
        if self.hooks.reach_steps and self.learner.held.are_shown:
            self.learner.held.look_at_trained()

    def begin_episode(self, seed_index: int) -> None:
        """Forget what exploration carries on from the episode before, and follow what was done to the networks."""
        self.learner.held.look_in_training(seed_index)
        self.exploration.begin_episode(seed_index)

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
            out, h = self.policy(obs, h, times)
            chosen = self.exploration.greedy(out)[0].cpu().numpy()
        if explore:
            chosen = self.exploration.draw(out[0].cpu().numpy(), self._prediction_noise)
        scaled = self.bounds.to_environment(chosen)
        if np.ndim(state) == 1:
            scaled, h = scaled[0], h[:, 0]
        if isinstance(state, Tensor):
            return torch.from_numpy(np.asarray(scaled)).to(self.device), h[0].clone()
        return int(scaled) if self.discrete and np.ndim(state) == 1 else scaled, h[0].cpu().numpy()


class Acting:
    """The acting of all seeds along their running episodes, in memory that stays where it is.

    Shapes:
        obs: (S * E, O) float32, where the environments write their observations.
        hidden: (S, E, H), advanced in place.
        dt: (S * E, 1) float32, where the time since the observation before is written, in control steps.

    Args:
        normaliser: of the observations that the policy sees; ``None`` shows them as they are.
        look: called before every step.
    """

    def __init__(
        self,
        policy: Network,
        exploration: Explorer,
        obs: Array,
        hidden: Tensor,
        dt: Array,
        *,
        normaliser: Normaliser | None = None,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self._exploration, self._normaliser, self._look = exploration, normaliser, look
        each = hidden.shape[:2]
        self._given = torch.from_numpy(obs).view(*each, 1, -1)
        shown = self._given if normaliser is None else self._given.clone()
        self._seen = shown, torch.from_numpy(dt).view(*each, 1)
        self._read = tuple(seen.to(hidden.device) for seen in self._seen)
        out, self._advance = policy.stepper(self._read[0], hidden, self._read[1])
        self._out = out.view(len(obs), -1)
        self._shares_memory = hidden.device.type == "cpu"
        self._answer: NDArray[np.float32] = self._out.numpy() if self._shares_memory else np.empty(0, np.float32)

    def act(self, rows: tuple[int, ...], steps: Sequence[int], warming_up: Sequence[int]) -> NDArray[np.float32]:
        """Act once; the recurrent state advances also where actions are drawn at random.

        Shapes:
            returns: (S * E, A) in [-1, 1]; only those of ``rows`` mean anything.

        Args:
            rows: positions on the seed axis that act.
            steps: how many steps each seed has lived, in all its environments.
            warming_up: positions that act at random.
        """
        self._look()
        if self._normaliser is not None:
            self._normaliser.fit_observations(self._seen[0].copy_(self._given))
        if not self._shares_memory:
            for read, seen in zip(self._read, self._seen, strict=True):
                read.copy_(seen, non_blocking=True)
        self._advance(rows)
        out = self._answer if self._shares_memory else self._out.cpu().numpy()
        return self._exploration.act(out, rows, steps, warming_up)
