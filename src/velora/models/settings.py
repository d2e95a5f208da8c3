"""The settings of agents: default, domain and meaning of each, written once; everything else is made from here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from pydantic import ValidatorFunctionWrapHandler, field_validator

from velora.models import rules as fit
from velora.models.options import REQUIRED, Rules, Settings, option
from velora.nn.cells.registry import CELL_KINDS, CELL_MODES, CELLS, find_row, is_foreign, register_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    CellName: TypeAlias = str  # type checkers can't read the table of cells
    CellMode: TypeAlias = str
else:
    CellName, CellMode = Literal[CELL_KINDS], Literal[CELL_MODES]

_MODES = "; ".join(
    f"of ``{cell}`` also ``{'``, ``'.join(list(row.modes)[1:])}``" for cell, row in CELLS.items() if len(row.modes) > 1
)


class RunArguments:
    """Arguments of every constructor that are no settings: an agent may be loaded from a checkpoint with others."""

    device: str | torch.device | None = option(
        None, "where to compute; ``None`` is the GPU if there is one", group="run"
    )
    kernel: str = option(
        "auto", "what computes: ``native`` (C) or ``numpy`` on a CPU, ``torch``; ``auto``: the fastest", group="run"
    )
    seed: int | None = option(
        None, "seed of everything random; ``None`` takes that of ``set_seed``, else a fresh one", group="run"
    )
    seeds: Sequence[int] | None = option(
        None, "several seeds, to train as many agents side by side", group="run", see="guide/several-seeds.md"
    )


class LiquidSettings(Settings):
    """Settings of every agent with a liquid policy and a critic."""

    @field_validator("cell", mode="wrap")
    @classmethod
    def _name_cell(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        """Take a class of one's own, or the name of one that was registered; ours are checked by their names."""
        if isinstance(value, type):
            return register_cell(value)
        if not is_foreign(value):
            return check(value)
        if find_row(value) is None:
            raise ValueError(
                f"{value[:100]!r} is a class from outside Velora that nothing has registered; import its module first, "
                "with velora.register before the class"
            )
        return value

    rules: ClassVar[Rules] = fit.layers_have_units, fit.image_fits

    state_dim: int = option(
        REQUIRED,
        "numbers in an observation (O), once it is flattened",
        group="policy",
        structural=True,
        ge=1,
        le=1_000_000,
    )
    n_neurons: int = option(
        REQUIRED,
        "inter and command neurons; one motor neuron per action comes on top",
        group="policy",
        structural=True,
        ge=3,
        le=4_096,
    )
    action_dim: int = option(
        REQUIRED,
        "numbers in an action (A), or how many discrete actions there are",
        group="policy",
        structural=True,
        ge=1,
        le=4_096,
    )
    cell: CellName = option(
        "cfc",
        "cell of the policy's neurons",
        group="policy",
        see="guide/liquid-cells.md#the-cells",
        structural=True,
        takes_classes=True,
    )
    cell_mode: CellMode = option(
        "default", f"variant of the cell: ``default``; {_MODES}", group="policy", structural=True
    )
    mixed_memory: bool = option(
        False,
        "put an LSTM before the policy's liquid cell, so that long memory doesn't fade; a critic gets none",
        group="policy",
        structural=True,
    )
    wiring: Literal["ncp", "random", "dense"] = option(
        "ncp",
        "synapses between the policy's layers: ``ncp``; ``random``, as many of them anywhere; or ``dense``, all",
        group="policy",
        see="guide/liquid-cells.md#the-wiring",
        structural=True,
    )
    sparsity: float = option(
        0.5,
        "share of missing synapses between layers; a dense wiring has none",
        group="policy",
        structural=True,
        ge=0.1,
        le=0.9,
    )
    time: Literal["gate", "input", "both", "none"] = option(
        "gate",
        "how the networks are told how much has passed: ``gate``, as the ``dt`` of their cells; ``input``, as a number "
        "beside the observation; ``both`` or ``none``",
        group="observation",
        see="guide/time-and-partial-observation.md#where-time-goes",
        structural=True,
    )
    critic: Literal["dense", "liquid", "recurrent"] = option(
        "dense",
        "``dense``; ``liquid``, a CfC circuit of the policy's size without memory; or ``recurrent``, a layer of the "
        "policy's cell (of a CfC for ``ltc``) that reads whole windows, for partly observed tasks",
        group="critic",
        structural=True,
    )
    critic_units: tuple[int, ...] = option(
        (64, 64),
        "sizes of the critic's hidden layers; of a recurrent one the first is its cell",
        group="critic",
        structural=True,
        min_length=1,
        max_length=8,
    )
    privileged: int = option(
        0,
        'numbers of ``info["state"]`` that the critics read in training beside the observation, or instead of an '
        "image; the policy never sees them",
        group="critic",
        see="guide/privileged.md",
        structural=True,
        ge=0,
        le=1_000_000,
    )
    optimizer: str = option("adam", "of every network: ``adam``, ``adamw``, ``rmsprop`` or ``sgd``", group="learning")
    actor_lr: float = option(3e-4, "learning rate of the policy", group="learning", gt=0.0, le=10.0)
    critic_lr: float = option(1e-3, "learning rate of the critic", group="learning", gt=0.0, le=10.0)
    gamma: float = option(0.99, "discount per control step", group="learning", live=True, ge=0.0, le=1.0)
    grad_clip: float | None = option(
        1.0, "largest gradient norm of a network and seed; ``None`` doesn't clip", group="learning", live=True, gt=0.0
    )
    reward_scale: float = option(0.1, "factor on rewards inside the critic's loss", group="learning", live=True, gt=0.0)
    normalize_obs: bool = option(
        False,
        "standardise observations by mean and deviation of those seen in training",
        group="normalisation",
        see="guide/normalisation.md",
        structural=True,
    )
    normalize_returns: bool = option(
        False,
        "divide rewards by the deviation of their discounted sums; ``reward_scale`` stays",
        group="normalisation",
        structural=True,
    )
    sequence_length: int = option(
        1, "steps of a window that are learned from, back through time", group="experience", ge=1, le=10_000
    )
    image: tuple[int, ...] | None = option(
        None,
        "shape of an observation that is an image, as Gymnasium gives it, such as ``(64, 64, 3)``; a small "
        "convolutional encoder then stands before each network; ``None`` reads a vector",
        group="observation",
        see="guide/observations.md#images",
        structural=True,
    )
    image_range: tuple[float, float] | None = option(
        None,
        "least and largest value of a pixel; ``None`` are bytes, 0 to 255, stored as such",
        group="observation",
        structural=True,
    )


class ReplaySettings(LiquidSettings):
    """Settings of agents that learn from a replay buffer."""

    rules: ClassVar[Rules] = (fit.windows_fit_the_buffer,)

    tau: float = option(
        0.02, "share by which the targets follow at each update", group="learning", live=True, gt=0.0, le=1.0
    )
    updates_per_step: int = option(
        1,
        "updates in each environment step; more of them learn more from the same experience, and take longer",
        group="learning",
        ge=1,
        le=1_000,
    )
    buffer_size: int = option(100_000, "transitions kept for each seed", group="experience", ge=1, le=1_000_000_000)
    warmup_steps: int = option(
        1_000, "steps of uniform random actions before learning begins", group="experience", ge=0
    )
    burn_in: int = option(
        0,
        "steps before the learned ones, to bring the recurrent state up to date; they have no loss",
        group="experience",
        ge=0,
        le=10_000,
    )


class DDPGSettings(ReplaySettings):
    """Settings of :class:`~velora.models.LiquidDDPG`."""

    noise_std: float = option(
        0.3, "deviation of the exploration noise, as a share of half the action range", group="exploration", ge=0.0
    )
    noise_final_std: float | None = option(
        None, "deviation that the noise goes to, in a straight line; ``None`` leaves it", group="exploration", ge=0.0
    )
    noise_decay_steps: int = option(
        10_000, "environment steps until the noise reaches ``noise_final_std``", group="exploration", ge=1
    )
    noise_correlation: float = option(
        0.85, "correlation of the noise from one step to the next", group="exploration", ge=0.0, lt=1.0
    )


class TD3Settings(DDPGSettings):
    """Settings of :class:`~velora.models.LiquidTD3`."""

    policy_delay: int = option(
        2, "updates of the critics for one of policy and targets", group="learning", ge=1, le=1_000
    )
    target_noise: float = option(
        0.2,
        "deviation of the noise on target actions, as a share of half the range",
        group="learning",
        live=True,
        ge=0.0,
    )
    target_noise_clip: float = option(
        0.5, "largest size of the noise on target actions", group="learning", live=True, ge=0.0
    )


class SACSettings(ReplaySettings):
    """Settings of :class:`~velora.models.LiquidSAC`."""

    rules: ClassVar[Rules] = (fit.entropy_can_be_reached,)

    discrete: bool = option(
        False, "whether an action is one of ``action_dim`` discrete ones", group="policy", structural=True
    )
    temperature_lr: float = option(
        1e-3, "learning rate of the temperature, the weight of entropy", group="exploration", gt=0.0, le=10.0
    )
    initial_temperature: float = option(0.1, "temperature at the beginning", group="exploration", gt=0.0)
    target_entropy: float | None = option(
        None,
        "entropy in nats that the temperature steers the policy to; ``None`` is ``-action_dim``, or of discrete "
        "actions half of the largest there is, ``log(action_dim)``",
        group="exploration",
        live=True,
    )


class REDQSettings(ReplaySettings):
    """Settings of :class:`~velora.models.LiquidREDQ`."""

    rules: ClassVar[Rules] = (fit.subset_fits_the_ensemble,)

    updates_per_step: int = ReplaySettings.again("updates_per_step", 20)
    n_critics: int = option(10, "critics in the ensemble (N)", group="critic", structural=True, ge=1, le=16)
    n_target_critics: int = option(
        2, "critics drawn for each update, whose smallest value is the target (M)", group="critic", ge=1, le=16
    )
    temperature_lr: float = SACSettings.again("temperature_lr")
    initial_temperature: float = SACSettings.again("initial_temperature")
    target_entropy: float | None = SACSettings.again(
        "target_entropy",
        meaning="entropy in nats that the temperature steers the policy to; ``None`` is ``-action_dim``",
    )


class PPOSettings(LiquidSettings):
    """Settings of :class:`~velora.models.LiquidPPO`."""

    rules: ClassVar[Rules] = (fit.windows_fill_the_rollout,)

    discrete: bool = SACSettings.again("discrete")
    critic: Literal["dense", "recurrent"] = LiquidSettings.again(
        "critic",
        meaning="``dense``; or ``recurrent``, a layer of the policy's cell (of a CfC for ``ltc``) that remembers the "
        "steps before, for partly observed tasks",
    )
    actor_lr: float = LiquidSettings.again("actor_lr", 1e-3)
    grad_clip: float | None = LiquidSettings.again("grad_clip", 0.5)
    sequence_length: int = LiquidSettings.again(
        "sequence_length",
        8,
        "steps of a window that are learned from, back through time; a minibatch holds as many windows as "
        "``batch_size`` steps fill",
    )
    n_envs: int = option(
        1,
        "environments that each seed acts in at once (E), with one pass of the policy for all of them",
        group="experience",
        see="tutorial/agents/ppo.md#several-environments",
        ge=1,
        le=4_096,
    )
    rollout_steps: int = option(
        2_048,
        "steps of each environment between two phases of learning, a multiple of ``sequence_length``; a seed learns "
        "from ``n_envs`` times as many",
        group="experience",
        ge=1,
        le=100_000_000,
    )
    n_epochs: int = option(10, "passes of each phase over its rollout", group="experience", ge=1, le=1_000)
    gae_lambda: float = option(
        0.95, "how far advantages look beyond the next value", group="learning", live=True, ge=0.0, le=1.0
    )
    clip_range: float = option(
        0.2,
        "how far the ratio of new to old probability is rewarded to move from 1",
        group="learning",
        live=True,
        gt=0.0,
        le=10.0,
    )
    entropy_bonus: float = option(
        0.0, "weight of the policy's entropy beside its reward", group="exploration", live=True, ge=0.0
    )
    target_kl: float | None = option(
        None,
        "divergence from the policy that acted, in nats; a seed whose minibatch exceeds it one and a half times learns "
        "no more in this phase; ``None`` is no limit",
        group="learning",
        live=True,
        gt=0.0,
    )
    initial_std: float = option(
        1.0,
        "deviation of continuous actions at first, as a share of half their range",
        group="exploration",
        gt=0.0,
        le=1_000_000,
    )
