"""What is compared: tables of tasks, each with arms that train for the same steps on the same number of seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SEEDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to learn a task.

    Attributes:
        name: as the table calls it.
        agent: ours, by its registry key; ``None`` is a peer.
        library, algorithm: of a peer.
        batch_size: of an update.
        settings: of the agent's constructor.
    """

    name: str
    agent: str | None = None
    library: str = ""
    algorithm: str = ""
    batch_size: int = 256
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """Name the file of its raw evaluations."""
        return "".join(c if c.isalnum() else "-" for c in self.name.lower()).strip("-")


@dataclass(frozen=True, slots=True)
class Study:
    """One task of a table.

    Attributes:
        table: which table it belongs to.
        env: a registered environment.
        n_steps, evaluate_steps: environment steps of a run, and between two evaluations.
        wrappers: ours, from the inside out, that make it harder; peers have to do without, so such a study has none.
        solved: a return that counts as solved, drawn as a line.
        published: what others have published for it, with the source.
    """

    table: str
    name: str
    env: str
    n_steps: int
    evaluate_steps: int
    arms: tuple[Arm, ...]
    wrappers: tuple[Mapping[str, Any], ...] = ()
    solved: float | None = None
    published: str = ""
    seeds: tuple[int, ...] = SEEDS


def _sb3(algorithm: str, **settings: Any) -> Arm:
    """Make a peer with two layers of 64 and one update per step where that applies, else its defaults."""
    return Arm(f"SB3 {algorithm}", library="stable_baselines3", algorithm=algorithm, settings=settings)


def _ours(name: str, agent: str, *, batch_size: int = 256, **settings: Any) -> Arm:
    return Arm(name, agent=agent, batch_size=batch_size, settings={"n_neurons": 20, **settings})


_SB3_NOISE = {"learning_rate": 1e-3, "action_noise": 0.1}
_PENDULUM = (
    _ours("LiquidDDPG", "liquid_ddpg"),
    _ours("LiquidTD3", "liquid_td3"),
    _ours("LiquidSAC", "liquid_sac"),
    _sb3("DDPG", **_SB3_NOISE),
    _sb3("TD3", **_SB3_NOISE),
    _sb3("SAC", learning_rate=1e-3),
)
_INVERTED = (
    _ours("LiquidDDPG", "liquid_ddpg", actor_lr=2e-4),
    _ours("LiquidTD3", "liquid_td3", actor_lr=2e-4),
    _ours("LiquidSAC", "liquid_sac", actor_lr=2e-4),
    _sb3("DDPG", **_SB3_NOISE),
    _sb3("TD3", **_SB3_NOISE),
    _sb3("SAC"),
)
_POSITIONS = (
    {"name": "DropObservation", "kwargs": {"drop": "velocity"}},
    {"name": "PreviousActionReward", "kwargs": {}},
)
_IRREGULAR = ({"name": "HoldAction", "kwargs": {"hold": [1, 2, 3, 4]}}, *_POSITIONS)
_WINDOWS = {
    "sequence_length": 12, "burn_in": 4, "critic": "recurrent", "critic_units": (64, 64), "gamma": 0.98, "tau": 0.005,
    "actor_lr": 1e-3, "critic_lr": 1e-3, "n_neurons": 40,
}  # fmt: skip
"""Of the recurrent TD3 in tables 2 and 3: what research/liquid.md found to work, and our own windows."""


def _remembering(cell: str, name: str = "", **more: Any) -> Arm:
    return _ours(name or f"LiquidTD3, {cell}", "liquid_td3", batch_size=32, **{**_WINDOWS, "cell": cell, **more})


STUDIES = {
    study.name: study
    for study in (
        Study(
            "1", "Pendulum", "Pendulum-v1", 10_000, 1_000, _PENDULUM, solved=-200.0,
            published="rl-zoo after 20,000 steps, one run each: DDPG -152 +- 94, TD3 -152 +- 90, SAC -157 +- 89",
        ),
        Study(
            "1", "InvertedPendulum", "InvertedPendulum-v5", 20_000, 2_000, _INVERTED, solved=950.0,
            published="CleanRL, v4, 1M steps, training returns: DDPG 643 +- 70, TD3 969 +- 26, SAC 909 +- 56",
        ),
        Study(
            "1", "CartPole", "CartPole-v1", 100_000, 10_000,
            (
                _ours("LiquidPPO", "liquid_ppo", batch_size=64, discrete=True),
                _sb3("PPO"),
            ),
            solved=475.0, published="rl-zoo after 100,000 steps, one run: PPO 500",
        ),
        Study(
            "2", "Pendulum, positions", "Pendulum-v1", 12_000, 2_000,
            tuple(_remembering(cell) for cell in ("leaky", "gru", "cfc", "lstm", "memoryless")),
            wrappers=_POSITIONS, solved=-250.0,
            published="rl-zoo, velocity masked, one run: RecurrentPPO -218 +- 140 after 100,000 steps",
        ),
        Study(
            "3", "Pendulum, irregular time", "Pendulum-v1", 8_000, 1_000,
            (
                _remembering("leaky", "leaky, dt in the gate", time="gate"),
                _remembering("leaky", "leaky, dt in the gate and as input", time="both"),
                _remembering("gru", "gru, dt as input", time="input"),
                _remembering("gru", "gru, no dt", time="none"),
                _remembering("cfc", "cfc, dt in the gate", time="gate"),
                _remembering("leaky", "leaky, no dt", time="none"),
            ),
            wrappers=_IRREGULAR,
        ),
    )
}  # fmt: skip
