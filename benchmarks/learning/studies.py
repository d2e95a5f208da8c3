"""What is compared: tables of tasks, each with arms that train for the same steps on the same number of seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from velora.nn.cells import CELLS

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

    @property
    def algorithm_name(self) -> str:
        """Name what it learns by as peers do, without the cell: TD3."""
        return self.algorithm or str(self.agent).removeprefix("liquid_").upper()


@dataclass(frozen=True, slots=True)
class Test:
    """Something an agent meets after its training, without learning from it.

    Attributes:
        name: as the table calls it.
        wrappers: around the environment, all of them, from the inside out.
    """

    name: str
    wrappers: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Study:
    """One task of a table.

    Attributes:
        table: which table it belongs to.
        env: a registered environment.
        n_steps, evaluate_steps: environment steps of a run, and between two evaluations.
        wrappers: ours, from the inside out, that make it harder, for us and for the peers.
        solved: a return that counts as solved, drawn as a line.
        published: what others have published for it, with the source.
        tests: what the agents meet when they have learned.
        reference: the arm that the others are compared with, seed by seed.
        measures_memory: also measure how much of what the recurrent state does lies in one direction.
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
    tests: tuple[Test, ...] = ()
    reference: str = ""
    measures_memory: bool = False

    @property
    def slug(self) -> str:
        """Name the folder of its raw evaluations, and its picture."""
        return "".join(c if c.isalnum() else "-" for c in self.name.lower())


def _sb3(algorithm: str, name: str = "", **settings: Any) -> Arm:
    """Make a peer with its library's defaults, but for what is named."""
    return Arm(name or f"SB3 {algorithm}", library="stable_baselines3", algorithm=algorithm, settings=settings)


def _ours(name: str, agent: str, *, batch_size: int = 256, **settings: Any) -> Arm:
    return Arm(name, agent=agent, batch_size=batch_size, settings={"n_neurons": 20, **settings})


def _wrapper(name: str, **kwargs: Any) -> Mapping[str, Any]:
    return {"name": name, "kwargs": kwargs}


_SB3_NOISE: dict[str, Any] = {"learning_rate": 1e-3, "action_noise": 0.1}
_SB3_SMALL: dict[str, Any] = {"policy_kwargs": {"net_arch": [64, 64]}}
"""Of the size of our critics: with its default layers (400 and 300) one row of a long task takes SB3 hours here."""
_PENDULUM = (
    _ours("LiquidDDPG", "liquid_ddpg"),
    _ours("LiquidTD3", "liquid_td3"),
    _ours("LiquidSAC", "liquid_sac"),
    _sb3("DDPG", **_SB3_NOISE),
    _sb3("TD3", "SB3 TD3, 64x64", **_SB3_NOISE, **_SB3_SMALL),
    _sb3("SAC", "SB3 SAC, 64x64", learning_rate=1e-3, **_SB3_SMALL),
)


_SWING = {"noise_std": 0.9, "noise_correlation": 0.97}
"""Of conf/env/mountain_car_continuous, where only noise that lasts finds the reward; a test compares them."""
_SB3_SWING = {"action_noise": _SWING["noise_std"], "noise_correlation": _SWING["noise_correlation"]}


def _continuous(noise: Mapping[str, Any] = {}, peer_noise: Mapping[str, Any] = {}, **ours: Any) -> tuple[Arm, ...]:
    """Set our three agents of continuous actions beside the peer's of the same names; the noise is DDPG's and TD3's."""
    peers = {**_SB3_NOISE, **peer_noise, **_SB3_SMALL}
    return (
        _ours("LiquidDDPG", "liquid_ddpg", **noise, **ours),
        _ours("LiquidTD3", "liquid_td3", **noise, **ours),
        _ours("LiquidSAC", "liquid_sac", **ours),
        _sb3("DDPG", "SB3 DDPG, 64x64", **peers),
        _sb3("TD3", "SB3 TD3, 64x64", **peers),
        _sb3("SAC", "SB3 SAC, 64x64", **_SB3_SMALL),
    )


def _running(**ours: Any) -> tuple[Arm, ...]:
    """Do the same for the tasks where a step costs most, with the two agents that are used there."""
    return tuple(arm for arm in _continuous(n_neurons=64, **ours) if "DDPG" not in arm.name)


_FEW_STEPS = (
    _ours("LiquidREDQ", "liquid_redq", batch_size=128, n_neurons=64),
    _ours("LiquidSAC", "liquid_sac", batch_size=128, n_neurons=64),
    _ours("LiquidSAC, 20 updates a step", "liquid_sac", batch_size=128, n_neurons=64, updates_per_step=20),
)
"""REDQ with its paper's ensemble and updates; beside it one, and as many, updates a step of two critics."""
_ROLLOUTS = {"n_envs": 8, "rollout_steps": 256, "sequence_length": 64}
"""Of our PPO, with 512 in a minibatch: with windows of 8 steps and 64 in a minibatch it learned and didn't hold."""
_NO_VELOCITY = _wrapper("DropObservation", drop="velocity")
_POSITIONS = (_NO_VELOCITY, _wrapper("PreviousActionReward"))
_WINDOWS = {
    "sequence_length": 12, "burn_in": 4, "critic": "recurrent", "critic_units": (64, 64), "gamma": 0.98, "tau": 0.005,
    "actor_lr": 1e-3, "critic_lr": 1e-3, "n_neurons": 40,
}  # fmt: skip
"""Of the recurrent TD3 in tables 2 to 4: what research/liquid.md found to work, and our own windows."""
_RECURRENT_PPO = Arm(
    "sb3-contrib RecurrentPPO", library="sb3_contrib", algorithm="RecurrentPPO", settings={"policy": "MlpLstmPolicy"}
)
_RECURRENT_PPO_TUNED = replace(
    _RECURRENT_PPO,
    name="sb3-contrib RecurrentPPO, tuned",
    settings={
        **_RECURRENT_PPO.settings, "n_envs": 8, "n_steps": 32, "batch_size": 256, "n_epochs": 20, "gamma": 0.98,
        "gae_lambda": 0.8, "falling": {"learning_rate": 1e-3, "clip_range": 0.2},
    },
)  # fmt: skip
"""With rl-zoo's settings of CartPoleNoVel-v1; with its library's defaults one seed held 40 after 100,000 steps."""
_MEMORY = {**_ROLLOUTS, "gae_lambda": 0.98, "critic": "recurrent", "critic_units": (64, 64), "n_neurons": 40}
"""Of the recurrent PPO in table 2."""


def _remembering(cell: str, name: str = "", **more: Any) -> Arm:
    return _ours(name or f"LiquidTD3, {cell}", "liquid_td3", batch_size=32, **{**_WINDOWS, "cell": cell, **more})


def _informed(cell: str, name: str = "", **more: Any) -> Arm:
    """Let the critic of a recurrent TD3 see the whole observation, which leaves it nothing to remember."""
    settings = {"critic": "dense", "privileged": 11, "actor_lr": 3e-4, **more}
    return _remembering(cell, f"LiquidTD3, {name or cell}, privileged critic", **settings)


def _all_cells(**more: Any) -> tuple[Arm, ...]:
    mixed = _remembering("cfc", "LiquidTD3, cfc, mixed memory", mixed_memory=True, **more)
    return (*(_remembering(cell, **more) for cell in CELLS), mixed)


def _windowed(name: str, **more: Any) -> Arm:
    return _ours(name, "liquid_td3", batch_size=64, **{"sequence_length": 8, "burn_in": 4, **more})


_SMALL = {"n_neurons": 24, "critic_units": (32, 32), "tau": 0.01}
"""Of table 3, where many cells learn for long on many seeds."""


def _told_time(cells: Sequence[tuple[str, Mapping[str, Any]]], ways: Sequence[str]) -> tuple[Arm, ...]:
    """Cross cells with the ways in which they are told how much time has passed."""
    said = {"gate": "dt in the gate", "input": "dt as input", "both": "dt in both", "none": "no dt"}
    return tuple(
        _remembering(
            cell, f"{cell}{''.join(f', {k}' for k in more).replace('_', ' ')}, {said[way]}", time=way, **_SMALL, **more
        )
        for cell, more in cells
        for way in ways
    )


_NAMED = ("leaky", "cfc", "ltc", "gru")
"""Cells whose arms table 3 names; every other cell is told the time as it should be."""
_TIME = (
    *_told_time((("leaky", {}), ("cfc", {})), ("gate", "input", "both", "none")),
    *_told_time((("ltc", {}), ("cfc", {"mixed_memory": True})), ("gate",)),
    *_told_time((("gru", {}),), ("input", "none")),
    *(
        arm
        for cell in CELLS
        if cell not in _NAMED
        for arm in _told_time(((cell, {}),), ("gate" if CELLS[cell].takes_time else "input",))
    ),
    *(
        _remembering("gru", f"gru, {n} neurons, dt as input", time="input", **{**_SMALL, "n_neurons": n})
        for n in (40, 48)
    ),
)
"""A GRU of 40 neurons has 3,473 active parameters, twice those of the plain CfC (1,716); one of 48 has 4,861, more than
the CfC with mixed memory (4,716)."""
_OTHER_WAYS = {
    *("leaky, dt as input", "leaky, dt in both", "leaky, no dt", "cfc, dt as input", "cfc, dt in both"),
    "gru, 40 neurons, dt as input",
}
"""Arms that would say nothing new where time matters little."""
_BALANCING = tuple(replace(arm, settings={**arm.settings, "actor_lr": 3e-4}) for arm in _TIME)


def _irregular(*holds: int, seen: tuple[Mapping[str, Any], ...] = _POSITIONS) -> tuple[Mapping[str, Any], ...]:
    """Hold each action for one of these numbers of simulator steps, at random, and show positions only."""
    return (_wrapper("HoldAction", hold=list(holds)), *seen)


def _held(*holds: int, seen: tuple[Mapping[str, Any], ...] = _POSITIONS) -> tuple[Test, ...]:
    """Hold every action equally long, some longer than any in training; a constant step never was there."""
    return tuple(Test("1 step" if hold == 1 else f"{hold} steps", _irregular(hold, seen=seen)) for hold in holds)


_DISTURBED = (
    Test("nothing", ()),
    *(Test(f"noise {std:g}", (_wrapper("NoisyObservation", std=std),)) for std in (0.1, 0.2, 0.4)),
    *(Test(f"dropout {share:.0%}", (_wrapper("Flicker", probability=share),)) for share in (0.1, 0.2, 0.4)),
)

STUDIES = {
    study.name: study
    for study in (
        Study(
            "1", "Pendulum", "Pendulum-v1", 10_000, 1_000, _PENDULUM, solved=-200.0,
            published="rl-zoo after 20,000 steps, one run each: DDPG -152 +- 94, TD3 -152 +- 90, SAC -157 +- 89",
        ),
        Study(
            "1", "InvertedPendulum", "InvertedPendulum-v5", 20_000, 2_000, _continuous(actor_lr=2e-4), solved=950.0,
            published="CleanRL, v4, 1M steps, training returns: DDPG 643 +- 70, TD3 969 +- 26, SAC 909 +- 56",
        ),
        Study(
            "1", "InvertedDoublePendulum", "InvertedDoublePendulum-v5", 20_000, 2_000, _continuous(actor_lr=2e-4),
            solved=9_100.0,
        ),
        Study(
            "1", "MountainCarContinuous", "MountainCarContinuous-v0", 30_000, 3_000, _continuous(_SWING, _SB3_SWING),
            solved=90.0,
            published="rl-zoo, one run each, tuned noise: DDPG and TD3 94 after 300,000 steps, SAC 95 after 50,000",
        ),
        Study(
            "1", "LunarLanderContinuous", "LunarLanderContinuous-v3", 30_000, 3_000, _continuous(), solved=200.0,
            published="rl-zoo, v2, one run each: DDPG 230 and TD3 207 after 300,000 steps, SAC 260 after 500,000",
        ),
        Study(
            "1", "HalfCheetah", "HalfCheetah-v5", 20_000, 2_000, _running(),
            published="CleanRL, v4, 1M steps: TD3 9583 +- 126; SAC, v2, 9635 +- 1424",
        ),
        Study(
            "1", "Hopper", "Hopper-v5", 20_000, 2_000, _running(),
            published="CleanRL, v4, 1M steps: TD3 3135 +- 360; SAC, v2, 2310 +- 343",
        ),
        Study(
            "1", "Hopper, few steps", "Hopper-v5", 6_000, 1_000, _FEW_STEPS,
        ),
        Study(
            "1", "Walker2d", "Walker2d-v5", 20_000, 2_000, _running(),
            published="rl-zoo, v3, 1M steps, one run each: TD3 4718 +- 46, SAC 3863 +- 254",
        ),
        Study(
            "1", "CartPole", "CartPole-v1", 100_000, 10_000,
            (
                _ours("LiquidPPO", "liquid_ppo", batch_size=512, discrete=True, **_ROLLOUTS),
                _ours("LiquidSAC", "liquid_sac", batch_size=64, discrete=True, actor_lr=1e-3),
                _sb3("PPO"),
            ),
            solved=475.0, published="rl-zoo after 100,000 steps, one run: PPO 500",
        ),
        Study(
            "1", "InvertedPendulum, on-policy", "InvertedPendulum-v5", 100_000, 10_000,
            (
                _ours("LiquidPPO", "liquid_ppo", batch_size=512, **_ROLLOUTS),
                _sb3("PPO"),
            ),
            solved=950.0,
        ),
        Study(
            "2", "Pendulum, positions", "Pendulum-v1", 12_000, 2_000,
            (*_all_cells(), _RECURRENT_PPO), wrappers=_POSITIONS, solved=-250.0,
            reference="LiquidTD3, gru",
            published="rl-zoo, velocity masked, one run: RecurrentPPO -218 +- 140 after 100,000 steps",
        ),
        Study(
            "2", "InvertedPendulum, positions", "InvertedPendulum-v5", 24_000, 2_000,
            (*_all_cells(actor_lr=3e-4), _RECURRENT_PPO), wrappers=_POSITIONS,
            solved=950.0, reference="LiquidTD3, gru",
        ),
        Study(
            "2", "CartPole, positions", "CartPole-v1", 100_000, 10_000,
            (
                *(
                    _ours(f"LiquidPPO, {cell}", "liquid_ppo", batch_size=512, discrete=True, cell=cell, **_MEMORY)
                    for cell in CELLS
                ),
                _ours(
                    "LiquidPPO, cfc, mixed memory", "liquid_ppo", batch_size=512, discrete=True, mixed_memory=True,
                    cell="cfc", **_MEMORY,
                ),
                _RECURRENT_PPO_TUNED,
            ),
            wrappers=_POSITIONS, solved=475.0, reference="LiquidPPO, gru",
            published="rl-zoo, velocity masked, one run: RecurrentPPO 500 after 100,000 steps",
        ),
        Study(
            "2", "Hopper, positions", "Hopper-v5", 20_000, 2_000,
            (
                *_all_cells(actor_lr=3e-4),
                *(_informed(cell) for cell in ("cfc", "leaky", "gru")),
                _informed("cfc", "cfc, mixed memory", mixed_memory=True),
                _RECURRENT_PPO,
            ),
            wrappers=_POSITIONS, reference="LiquidTD3, gru",
        ),
        Study(
            "3", "Pendulum, irregular time", "Pendulum-v1", 20_000, 2_000, _TIME, wrappers=_irregular(1, 2, 3, 4),
            seeds=tuple(range(10)), tests=_held(1, 2, 3, 4, 5, 6), reference="gru, dt as input",
        ),
        Study(
            "3", "InvertedPendulum, irregular time", "InvertedPendulum-v5", 15_000, 3_000,
            _BALANCING, wrappers=_irregular(1, 2), tests=_held(1, 2, 3), reference="gru, dt as input",
        ),
        Study(
            "3", "InvertedPendulum, irregular time, actions unseen", "InvertedPendulum-v5", 15_000, 3_000,
            tuple(arm for arm in _BALANCING if arm.name not in _OTHER_WAYS),
            wrappers=_irregular(1, 2, seen=(_NO_VELOCITY,)), tests=_held(1, 2, 3, seen=(_NO_VELOCITY,)),
            reference="gru, dt as input",
        ),
        Study(
            "4", "Pendulum, disturbed after training", "Pendulum-v1", 10_000, 2_000,
            (
                *(_windowed(f"cfc, {n} neurons", n_neurons=n) for n in (10, 20, 64)),
                *(_windowed(f"{cell}, 20 neurons", cell=cell) for cell in CELLS if cell != "cfc"),
                *(
                    _windowed(f"{cell}, 20 neurons, {wiring}", cell=cell, wiring=wiring)
                    for cell in ("cfc", "leaky")
                    for wiring in ("random", "dense")
                ),
                _sb3("TD3", "SB3 TD3, 256x256", policy_kwargs={"net_arch": [256, 256]}, **_SB3_NOISE),
            ),
            tests=_DISTURBED, measures_memory=True, reference="SB3 TD3, 256x256",
        ),
        Study(
            "4", "Pendulum, positions, by wiring", "Pendulum-v1", 12_000, 2_000,
            tuple(
                _remembering(cell, f"{cell}, {wiring}", wiring=wiring)
                for cell in ("leaky", "cfc")
                for wiring in ("ncp", "random", "dense")
            ),
            wrappers=_POSITIONS, solved=-250.0, reference="leaky, ncp", measures_memory=True,
        ),
    )
}  # fmt: skip


def shortened(study: Study, n_steps: int, *, every_arm: bool = False) -> Study:
    """Shorten a study to what shows that it works: two seeds, one test, one arm of ours and one of a peer's.

    Our arms begin to learn earlier, so that they do at all.
    """
    shown = study.arms if every_arm else tuple({arm.agent is None: arm for arm in reversed(study.arms)}.values())
    arms = tuple(_eager(arm, n_steps) if arm.agent else arm for arm in shown)
    shorter = replace(study, n_steps=n_steps, evaluate_steps=n_steps // 2, arms=arms)
    return replace(shorter, seeds=study.seeds[:2], tests=study.tests[:1])


def _eager(arm: Arm, n_steps: int) -> Arm:
    """Let an arm of ours learn within some hundred steps: PPO from single minibatches, the others after a quarter."""
    if arm.agent == "liquid_ppo":
        return replace(arm, settings={**arm.settings, "rollout_steps": arm.batch_size // arm.settings.get("n_envs", 1)})
    return replace(arm, settings={**arm.settings, "warmup_steps": n_steps // 4})
