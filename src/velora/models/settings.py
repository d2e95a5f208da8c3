"""The settings of agents: every number with its domain, checked once, before anything is built."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from velora.core.errors import SettingError


class Settings(BaseModel):
    """Hold an agent's settings as a checkpoint stores them: strict, frozen, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def check(cls, values: dict[str, Any]) -> Self:
        """Validate the settings given to a constructor.

        Raises:
            SettingError: one line that names the first setting at fault.
        """
        try:
            return cls.model_validate({name: plain(value) for name, value in values.items()})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            problem = first["msg"].removeprefix("Value error, ")
            if not first["loc"]:  # of settings that don't fit together, whose text names them
                raise SettingError(problem) from None
            name = ".".join(str(part) for part in first["loc"])
            problem = problem[:1].lower() + problem[1:]
            received = "" if first["type"] == "value_error" else f", got {first['input']!r}"
            raise SettingError(f"{name}: {problem}{received}") from None


class LiquidSettings(Settings):
    """Settings of every agent with a liquid policy and a critic; their constructors document them."""

    state_dim: int = Field(ge=1, le=1_000_000)
    n_neurons: int = Field(ge=3, le=4_096)
    action_dim: int = Field(ge=1, le=4_096)
    cell: Literal["cfc", "ltc", "leaky", "gru", "lstm", "memoryless"]
    cell_mode: Literal["default", "pure", "no_gate", "no_reset"]
    mixed_memory: bool
    wiring: Literal["ncp", "random", "dense"]
    sparsity: float = Field(ge=0.1, le=0.9)
    time: Literal["gate", "input", "both", "none"]
    critic: Literal["dense", "liquid", "recurrent"]
    critic_units: tuple[int, ...] = Field(min_length=1, max_length=8)
    optimizer: str
    actor_lr: float = Field(gt=0.0, le=10.0)
    critic_lr: float = Field(gt=0.0, le=10.0)
    gamma: float = Field(ge=0.0, le=1.0)
    grad_clip: float | None = Field(gt=0.0)
    reward_scale: float = Field(gt=0.0)
    normalize_obs: bool
    normalize_returns: bool
    sequence_length: int = Field(ge=1, le=10_000)
    image: tuple[int, ...] | None = None
    image_range: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _layers_have_units(self) -> Self:
        if any(not 1 <= units <= 65_536 for units in self.critic_units):
            raise ValueError(f"critic_units: expected layers of 1 to 65536 units, got {self.critic_units}")
        return self

    @model_validator(mode="after")
    def _image_fits(self) -> Self:
        image, between = self.image, self.image_range
        if image is None:
            return self
        if not 2 <= len(image) <= 4 or min(image) < 1:
            raise ValueError(
                f"image: expected (height, width), (height, width, channels) or a stack of such frames, got {image}"
            )
        if math.prod(image) != self.state_dim:
            raise ValueError(
                f"image: {image} holds {math.prod(image)} numbers, expected state_dim={self.state_dim} of them"
            )
        if between is not None and not between[0] < between[1]:
            raise ValueError(f"image_range: expected the least value and a larger one, got {between}")
        if self.time in ("input", "both"):
            raise ValueError(f"time: an image has no place for the time beside it; use gate or none, got {self.time!r}")
        if self.normalize_obs:
            raise ValueError("normalize_obs: an image is scaled by its range already; expected false, got true")
        return self


class ReplaySettings(LiquidSettings):
    """Settings of agents that learn from a replay buffer."""

    tau: float = Field(gt=0.0, le=1.0)
    buffer_size: int = Field(ge=1, le=1_000_000_000)
    warmup_steps: int = Field(ge=0)
    burn_in: int = Field(ge=0, le=10_000)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        window = self.sequence_length + self.burn_in
        if self.critic == "recurrent" and window < 2:
            raise ValueError(
                "critic: a recurrent one remembers within a window, so sequence_length + burn_in has to be 2 or more"
            )
        if window > self.buffer_size:
            raise ValueError(
                f"buffer_size: {self.buffer_size} can't hold one window of {window} steps (burn_in + sequence_length)"
            )
        return self


class DDPGSettings(ReplaySettings):
    """Settings of :class:`~velora.models.LiquidDDPG`."""

    noise_std: float = Field(ge=0.0)
    noise_final_std: float | None = Field(ge=0.0)
    noise_decay_steps: int = Field(ge=1)
    noise_correlation: float = Field(ge=0.0, lt=1.0)


class TD3Settings(DDPGSettings):
    """Settings of :class:`~velora.models.LiquidTD3`."""

    policy_delay: int = Field(ge=1, le=1_000)
    target_noise: float = Field(ge=0.0)
    target_noise_clip: float = Field(ge=0.0)


class SACSettings(ReplaySettings):
    """Settings of :class:`~velora.models.LiquidSAC`."""

    discrete: bool
    temperature_lr: float = Field(gt=0.0, le=10.0)
    initial_temperature: float = Field(gt=0.0)
    target_entropy: float | None

    @model_validator(mode="after")
    def _choices_can_be_as_random(self) -> Self:
        most = math.log(self.action_dim)
        if self.discrete and self.target_entropy is not None and not 0.0 <= self.target_entropy <= most:
            raise ValueError(
                f"target_entropy: that of {self.action_dim} choices lies between 0 and {most:.4g} nats, "
                f"got {self.target_entropy}"
            )
        return self


class PPOSettings(LiquidSettings):
    """Settings of :class:`~velora.models.LiquidPPO`."""

    discrete: bool
    critic: Literal["dense", "recurrent"]
    n_envs: int = Field(ge=1, le=4_096)
    rollout_steps: int = Field(ge=1, le=100_000_000)
    n_epochs: int = Field(ge=1, le=1_000)
    gae_lambda: float = Field(ge=0.0, le=1.0)
    clip_range: float = Field(gt=0.0, le=10.0)
    entropy_bonus: float = Field(ge=0.0)
    target_kl: float | None = Field(gt=0.0)
    initial_std: float = Field(gt=0.0, le=1e6)

    @model_validator(mode="after")
    def _windows_fill_the_rollout(self) -> Self:
        if self.rollout_steps % self.sequence_length:
            raise ValueError(
                f"rollout_steps: expected a multiple of sequence_length ({self.sequence_length}), "
                f"got {self.rollout_steps}"
            )
        return self


def plain(value: Any) -> Any:
    """Turn NumPy scalars, and lists as JSON and Hydra give them, into what the settings hold."""
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value
