"""Keyword arguments of constructors and ``train``: type, group, default, meaning. Written by ``make generate``."""

# fmt: off
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

if TYPE_CHECKING:
    import torch


class SizeKeywords(TypedDict, total=False):
    """Sizes, which are given in this order and have no default."""

    state_dim: Annotated[int, "policy", ..., "numbers in an observation (O), once it is flattened (1 to 1,000,000)"]
    n_neurons: Annotated[int, "policy", ...,
        "inter and command neurons; one motor neuron per action comes on top (3 to 4,096)"]
    action_dim: Annotated[int, "policy", ...,
        "numbers in an action (A), or how many discrete actions there are (1 to 4,096)"]


class RunKeywords(TypedDict, total=False):
    """Arguments of every constructor that are no settings: an agent may be loaded from a checkpoint with others."""

    device: Annotated["str | torch.device | None", "run", None, "where to compute; ``None`` is the GPU if there is one"]
    kernel: Annotated[str, "run", "auto",
        "what computes: ``native`` (C) or ``numpy`` on a CPU, ``torch``; ``auto``: the fastest"]
    seed: Annotated[int | None, "run", None,
        "seed of everything random; ``None`` takes that of ``set_seed``, else a fresh one"]
    seeds: Annotated[Sequence[int] | None, "run", None, "several seeds, to train as many agents side by side"]


class LiquidKeywords(RunKeywords, total=False):
    """Settings of every agent with a liquid policy and a critic."""

    cell: Annotated[Literal["cfc", "ltc", "leaky", "gru", "gru_d", "lstm", "memoryless"] | type, "policy", "cfc",
        "cell of the policy's neurons: ``cfc``, ``ltc``, ``leaky``, ``gru``, ``gru_d``, ``lstm`` or ``memoryless``"]
    cell_mode: Annotated[Literal["default", "pure", "no_gate", "no_reset"], "policy", "default",
        "variant of the cell: ``default``; of ``cfc`` also ``pure``, ``no_gate``; of ``leaky`` also ``no_reset``"]
    mixed_memory: Annotated[bool, "policy", False,
        "put an LSTM before the policy's liquid cell, so that long memory doesn't fade; a critic gets none"]
    wiring: Annotated[Literal["ncp", "random", "dense"], "policy", "ncp",
        "synapses between the policy's layers: ``ncp``; ``random``, as many of them anywhere; or ``dense``, all"]
    sparsity: Annotated[float, "policy", 0.5,
        "share of missing synapses between layers; a dense wiring has none (0.1 to 0.9)"]
    time: Annotated[Literal["gate", "input", "both", "none"], "observation", "gate",
        "how the networks are told how much has passed: ``gate``, as the ``dt`` of their cells; ``input``, as a "
        "number beside the observation; ``both`` or ``none``"]
    image: Annotated[Sequence[int] | None, "observation", None,
        "shape of an observation that is an image, as Gymnasium gives it, such as ``(64, 64, 3)``; a small "
        "convolutional encoder then stands before each network; ``None`` reads a vector"]
    image_range: Annotated[Sequence[float] | None, "observation", None,
        "least and largest value of a pixel; ``None`` are bytes, 0 to 255, stored as such"]
    normalize_obs: Annotated[bool, "normalisation", False,
        "standardise observations by mean and deviation of those seen in training"]
    normalize_returns: Annotated[bool, "normalisation", False,
        "divide rewards by the deviation of their discounted sums; ``reward_scale`` stays"]
    critic_units: Annotated[Sequence[int], "critic", (64, 64),
        "sizes of the critic's hidden layers; of a recurrent one the first is its cell"]
    privileged: Annotated[int, "critic", 0,
        "numbers of ``info[\"state\"]`` that the critics read in training beside the observation, or instead of an "
        "image; the policy never sees them (0 to 1,000,000)"]
    optimizer: Annotated[str, "learning", "adam", "of every network: ``adam``, ``adamw``, ``rmsprop`` or ``sgd``"]
    critic_lr: Annotated[float, "learning", 0.001, "learning rate of the critic (above 0, at most 10)"]
    gamma: Annotated[float, "learning", 0.99, "discount per control step (0 to 1)"]
    reward_scale: Annotated[float, "learning", 0.1, "factor on rewards inside the critic's loss (above 0)"]


class ReplayKeywords(LiquidKeywords, total=False):
    """Settings of agents that learn from a replay buffer."""

    critic: Annotated[Literal["dense", "liquid", "recurrent"], "critic", "dense",
        "``dense``; ``liquid``, a CfC circuit of the policy's size without memory; or ``recurrent``, a layer of the "
        "policy's cell (of a CfC for ``ltc``) that reads whole windows, for partly observed tasks"]
    actor_lr: Annotated[float, "learning", 0.0003, "learning rate of the policy (above 0, at most 10)"]
    grad_clip: Annotated[float | None, "learning", 1.0,
        "largest gradient norm of a network and seed; ``None`` doesn't clip (above 0)"]
    tau: Annotated[float, "learning", 0.02, "share by which the targets follow at each update (above 0, at most 1)"]
    sequence_length: Annotated[int, "experience", 1,
        "steps of a window that are learned from, back through time (1 to 10,000)"]
    buffer_size: Annotated[int, "experience", 100_000, "transitions kept for each seed (1 to 1,000,000,000)"]
    warmup_steps: Annotated[int, "experience", 1_000,
        "steps of uniform random actions before learning begins (at least 0)"]
    burn_in: Annotated[int, "experience", 0,
        "steps before the learned ones, to bring the recurrent state up to date; they have no loss (0 to 10,000)"]


class DDPGKeywords(ReplayKeywords, total=False):
    """Settings of :class:`~velora.models.LiquidDDPG`."""

    updates_per_step: Annotated[int, "learning", 1,
        "updates in each environment step; more of them learn more from the same experience, and take longer (1 to "
        "1,000)"]
    noise_std: Annotated[float, "exploration", 0.3,
        "deviation of the exploration noise, as a share of half the action range (at least 0)"]
    noise_final_std: Annotated[float | None, "exploration", None,
        "deviation that the noise goes to, in a straight line; ``None`` leaves it (at least 0)"]
    noise_decay_steps: Annotated[int, "exploration", 10_000,
        "environment steps until the noise reaches ``noise_final_std`` (at least 1)"]
    noise_correlation: Annotated[float, "exploration", 0.85,
        "correlation of the noise from one step to the next (at least 0, below 1)"]


class PPOKeywords(LiquidKeywords, total=False):
    """Settings of :class:`~velora.models.LiquidPPO`."""

    discrete: Annotated[bool, "policy", False, "whether an action is one of ``action_dim`` discrete ones"]
    critic: Annotated[Literal["dense", "recurrent"], "critic", "dense",
        "``dense``; or ``recurrent``, a layer of the policy's cell (of a CfC for ``ltc``) that remembers the steps "
        "before, for partly observed tasks"]
    actor_lr: Annotated[float, "learning", 0.001, "learning rate of the policy (above 0, at most 10)"]
    grad_clip: Annotated[float | None, "learning", 0.5,
        "largest gradient norm of a network and seed; ``None`` doesn't clip (above 0)"]
    gae_lambda: Annotated[float, "learning", 0.95, "how far advantages look beyond the next value (0 to 1)"]
    clip_range: Annotated[float, "learning", 0.2,
        "how far the ratio of new to old probability is rewarded to move from 1 (above 0, at most 10)"]
    target_kl: Annotated[float | None, "learning", None,
        "divergence from the policy that acted, in nats; a seed whose minibatch exceeds it one and a half times "
        "learns no more in this phase; ``None`` is no limit (above 0)"]
    sequence_length: Annotated[int, "experience", 8,
        "steps of a window that are learned from, back through time; a minibatch holds as many windows as "
        "``batch_size`` steps fill (1 to 10,000)"]
    n_envs: Annotated[int, "experience", 1,
        "environments that each seed acts in at once (E), with one pass of the policy for all of them (1 to 4,096)"]
    rollout_steps: Annotated[int, "experience", 2_048,
        "steps of each environment between two phases of learning, a multiple of ``sequence_length``; a seed learns "
        "from ``n_envs`` times as many (1 to 100,000,000)"]
    n_epochs: Annotated[int, "experience", 10, "passes of each phase over its rollout (1 to 1,000)"]
    entropy_bonus: Annotated[float, "exploration", 0.0, "weight of the policy's entropy beside its reward (at least 0)"]
    initial_std: Annotated[float, "exploration", 1.0,
        "deviation of continuous actions at first, as a share of half their range (above 0, at most 1,000,000)"]


class REDQKeywords(ReplayKeywords, total=False):
    """Settings of :class:`~velora.models.LiquidREDQ`."""

    n_critics: Annotated[int, "critic", 10, "critics in the ensemble (N) (1 to 16)"]
    n_target_critics: Annotated[int, "critic", 2,
        "critics drawn for each update, whose smallest value is the target (M) (1 to 16)"]
    updates_per_step: Annotated[int, "learning", 20,
        "updates in each environment step; more of them learn more from the same experience, and take longer (1 to "
        "1,000)"]
    temperature_lr: Annotated[float, "exploration", 0.001,
        "learning rate of the temperature, the weight of entropy (above 0, at most 10)"]
    initial_temperature: Annotated[float, "exploration", 0.1, "temperature at the beginning (above 0)"]
    target_entropy: Annotated[float | None, "exploration", None,
        "entropy in nats that the temperature steers the policy to; ``None`` is ``-action_dim``"]


class SACKeywords(ReplayKeywords, total=False):
    """Settings of :class:`~velora.models.LiquidSAC`."""

    discrete: Annotated[bool, "policy", False, "whether an action is one of ``action_dim`` discrete ones"]
    updates_per_step: Annotated[int, "learning", 1,
        "updates in each environment step; more of them learn more from the same experience, and take longer (1 to "
        "1,000)"]
    temperature_lr: Annotated[float, "exploration", 0.001,
        "learning rate of the temperature, the weight of entropy (above 0, at most 10)"]
    initial_temperature: Annotated[float, "exploration", 0.1, "temperature at the beginning (above 0)"]
    target_entropy: Annotated[float | None, "exploration", None,
        "entropy in nats that the temperature steers the policy to; ``None`` is ``-action_dim``, or of discrete "
        "actions half of the largest there is, ``log(action_dim)``"]


class TD3Keywords(DDPGKeywords, total=False):
    """Settings of :class:`~velora.models.LiquidTD3`."""

    policy_delay: Annotated[int, "learning", 2, "updates of the critics for one of policy and targets (1 to 1,000)"]
    target_noise: Annotated[float, "learning", 0.2,
        "deviation of the noise on target actions, as a share of half the range (at least 0)"]
    target_noise_clip: Annotated[float, "learning", 0.5, "largest size of the noise on target actions (at least 0)"]


class TrainKeywords(TypedDict, total=False):
    """Train in an environment; show progress; return what happened."""

    batch_size: Annotated[int, "train", ...,
        "windows in one update (B); of an agent that learns from rollouts, steps in one minibatch"]
    n_episodes: Annotated[int | None, "train", None,
        "episodes to train for, for each seed; ``None`` is 100, or no limit where ``n_steps`` is given"]
    n_steps: Annotated[int | None, "train", None,
        "environment steps at which to stop if that comes first, for each seed and in all its environments together; "
        "``None`` for no limit"]
    window_size: Annotated[int, "train", 10, "episodes in the moving statistics of the return"]
    evaluate_every: Annotated[int | None, "train", None, "episodes between evaluations; ``None`` for none"]
    evaluation_episodes: Annotated[int, "train", 10, "episodes in one evaluation, always with the same reset seeds"]
    evaluation_max_steps: Annotated[int, "train", 100_000,
        "steps after which an episode of evaluation is cut, if the environment sets no end"]
    progress_bar: Annotated[bool, "train", True, "show one"]
    summary: Annotated[bool, "train", True, "print what is trained, before it starts"]
    log_every: Annotated[int, "train", 100, "updates between two rows to the loggers"]
    threads: Annotated[int | None, "train", None,
        "to compute on; ``None`` is one more than there are seeds, at most as many as there are cores"]
    workers: Annotated[int, "train", 0,
        "processes to step environments in, if a step takes more than a millisecond; 0 has them here"]
    worker_timeout_s: Annotated[float, "train", 60.0,
        "seconds that an environment in a worker may take to be made, to reset or to step"]


class CheckpointKeywords(TypedDict, total=False):
    """Choose where, how often and how much to save."""

    frequency: Annotated[int | None, "checkpoint", 100,
        "episodes between two ``epN``, at least 1; ``None`` writes none"]
    steps: Annotated[int | None, "checkpoint", None,
        "environment steps of a seed between two ``stepN``, at least 1; ``None`` writes none"]
    minutes: Annotated[float | None, "checkpoint", 10.0,
        "write ``recent/``, over the one before, when nothing else was written for so long, and the first after one "
        "minute at most; above 0, ``None`` writes it at SIGUSR1 only"]
    buffer: Annotated[bool, "checkpoint", True,
        "save the replay buffer too; without it a checkpoint is much smaller, but a run can't be resumed from it "
        "exactly"]
    keep_last: Annotated[int | None, "checkpoint", None,
        "how many ``epN`` stay, and how many ``stepN``, at least 1; the oldest goes once a newer one is safe; "
        "``None`` keeps all"]
    keep_best: Annotated[int, "checkpoint", 1,
        "of so many evaluations the agents stay, at least 1: the best one is ``best/``, and with more than 1 all of "
        "them are ``topN/`` too, after their environment step"]
    final: Annotated[bool, "checkpoint", True, "write ``final/`` when the run ends by its budget or by a callback"]


AGENTS: dict[str, tuple[str, Any]] = {
    "liquid_ddpg": ("velora.models.LiquidDDPG", DDPGKeywords),
    "liquid_ppo": ("velora.models.LiquidPPO", PPOKeywords),
    "liquid_redq": ("velora.models.LiquidREDQ", REDQKeywords),
    "liquid_sac": ("velora.models.LiquidSAC", SACKeywords),
    "liquid_td3": ("velora.models.LiquidTD3", TD3Keywords),
}
"""Class and keywords of each agent."""
GROUPS = ('policy', 'observation', 'normalisation', 'critic', 'learning', 'experience', 'exploration', 'run')
"""Groups of settings, in the order in which they are listed."""
