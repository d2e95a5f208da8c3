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
        keep: positions of the observation that the agents see; ``None`` shows all.
        solved: a return that counts as solved, drawn as a line.
        published: what others have published for it, with the source.
    """

    table: str
    name: str
    env: str
    n_steps: int
    evaluate_steps: int
    arms: tuple[Arm, ...]
    keep: tuple[int, ...] | None = None
    solved: float | None = None
    published: str = ""
    seeds: tuple[int, ...] = SEEDS


def _sb3(algorithm: str, **settings: Any) -> Arm:
    """Make a peer with two layers of 64 and one update per step where that applies, else its defaults."""
    return Arm(f"SB3 {algorithm}", library="stable_baselines3", algorithm=algorithm, settings=settings)


def _ours(name: str, agent: str, *, batch_size: int = 256, **settings: Any) -> Arm:
    return Arm(name, agent=agent, batch_size=batch_size, settings={"n_neurons": 20, **settings})


_PENDULUM = (
    _ours("LiquidDDPG", "liquid_ddpg"),
    _ours("LiquidTD3", "liquid_td3"),
    _sb3("DDPG", learning_rate=1e-3, action_noise=0.1),
    _sb3("TD3", learning_rate=1e-3, action_noise=0.1),
)
_INVERTED = (
    _ours("LiquidDDPG", "liquid_ddpg", actor_lr=2e-4),
    _ours("LiquidTD3", "liquid_td3", actor_lr=2e-4),
    _sb3("DDPG", learning_rate=1e-3, action_noise=0.1),
    _sb3("TD3", learning_rate=1e-3, action_noise=0.1),
)
_WINDOWS = {"sequence_length": 12, "burn_in": 4, "critic": "recurrent", "critic_units": (64, 64)}


def _memory(cell: str, **more: Any) -> Arm:
    name = f"LiquidTD3, {cell}"
    return _ours(name, "liquid_td3", batch_size=32, cell=cell, **{"n_neurons": 40, **_WINDOWS, **more})


STUDIES = {
    study.name: study
    for study in (
        Study(
            "1", "Pendulum", "Pendulum-v1", 10_000, 1_000, _PENDULUM, solved=-200.0,
            published="rl-zoo, 20,000 steps: DDPG -152 +- 94, TD3 -152 +- 90 (one run each)",
        ),
        Study(
            "1", "InvertedPendulum", "InvertedPendulum-v5", 20_000, 2_000, _INVERTED, solved=950.0,
            published="CleanRL, v4, 1M steps, training returns: DDPG 643 +- 70, TD3 969 +- 26",
        ),
        Study(
            "2", "Pendulum, positions", "Pendulum-v1", 20_000, 2_000,
            tuple(_memory(cell) for cell in ("cfc", "gru", "memoryless")),
            keep=(0, 1), solved=-250.0,
            published="rl-zoo, velocity masked, RecurrentPPO: -218 +- 140 after 100,000 steps (one run)",
        ),
    )
}  # fmt: skip
