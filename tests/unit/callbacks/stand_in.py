"""A run without learning: it satisfies the protocols that callbacks see, and saves real checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from velora.callbacks import Callback
from velora.checkpoint import Checkpoint
from velora.core.protocols import AgentView, TrainerView
from velora.core.types import Counters, Episode, Evaluation, Filmed, WindowStats
from velora.metrics import MovingWindow


@dataclass
class Agent:
    seeds: tuple[int, ...] = (7,)
    key: str = "liquid_ddpg"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    kernel: str = "native"
    threads: int = 1

    def check_tunable(self, name: str, values: Sequence[float]) -> None:
        raise NotImplementedError("nothing here is scheduled")

    def tune(self, name: str, value: float, *, seed_index: int = 0) -> None:
        raise NotImplementedError("nothing here is scheduled")

    def current_learning_rates(self, seed_index: int = 0) -> Mapping[str, float]:
        raise NotImplementedError("nothing here learns")

    def keep_gradient_norms(self) -> None:
        raise NotImplementedError("nothing here learns")

    def gradient_norms(self, seed_index: int = 0) -> Mapping[str, float]:
        raise NotImplementedError("nothing here learns")

    def summary(self) -> Mapping[str, Any]:
        return {
            "agent": "LiquidDDPG",
            "settings": {"gamma": 0.99},
            "networks": {
                "actor": {"wiring": "3 -> 8 -> 6 -> 1, 60 synapses", "parameters": 1000, "active": 400},
                "critic": {"wiring": None, "parameters": 4_545, "active": 4_545},
            },
        }


class Lane:
    def __init__(self, seed_index: int, window_size: int) -> None:
        self.seed_index = seed_index
        self.lineage: tuple[tuple[int, int], ...] = ((0, 0),)
        self.parted_at: int | None = None
        self.newest_of: Path | None = None
        self.episode = 0
        self.step = 0
        self.update = 0
        self.done = False
        self.is_lost = False
        self.evaluation: Evaluation | None = None
        self.last_return: float | None = None
        self.is_running = False
        self.moving = MovingWindow(window_size)

    @property
    def lived(self) -> Counters:
        return Counters(self.episode, self.step, self.update)

    @property
    def window(self) -> WindowStats:
        return self.moving.stats()


@dataclass
class Trainer:
    agent: Agent = field(default_factory=Agent)
    callbacks: Sequence[Callback] = ()
    run_id: str = "run-1"
    n_episodes: int = 10
    n_steps: int | None = None
    batch_size: int = 32
    window_size: int = 3
    run_dir: Path | None = None
    environment: str = "Pendulum-v1"
    should_stop: bool = False
    save_requests: int = 0
    stop_reason: str | None = None
    status: str = "running"
    last_evaluation: Evaluation | None = None
    evaluate_every: int | None = None
    reported: dict[str, float] = field(default_factory=dict)
    saves: list[tuple[str, bool, bool]] = field(default_factory=list)
    disk_is_full: bool = False
    n_reads: int = 0

    def __post_init__(self) -> None:
        self.lanes = [Lane(k, self.window_size) for k in range(len(self.agent.seeds))]

    @property
    def is_evaluated(self) -> bool:
        return self.evaluate_every is not None

    @property
    def progress(self) -> Sequence[Lane]:
        return self.lanes

    @property
    def episode(self) -> int:
        return min(lane.episode for lane in self.lanes)

    @property
    def step(self) -> int:
        return max(lane.step for lane in self.lanes)

    @property
    def update(self) -> int:
        return max(lane.update for lane in self.lanes)

    @property
    def window(self) -> WindowStats:
        return self.lanes[0].window

    def losses(self, seed_index: int | None = None) -> dict[str, float]:
        self.n_reads += 1
        return self.reported

    def stop(self, reason: str, *, seed_index: int | None = None) -> None:
        self.stop_reason = reason
        if seed_index is not None:
            self.lanes[seed_index].done = True
        self.should_stop = seed_index is None or all(lane.done for lane in self.lanes)

    def save(
        self,
        directory: str | Path,
        *,
        buffer: bool = True,
        config: bool = False,
        seed_index: int = 0,
        wait: bool = True,
        failed: Callable[[OSError], object] | None = None,
    ) -> Path:
        if self.disk_is_full:
            error = OSError(28, "No space left on device")
            if wait or failed is None:
                raise error
            failed(error)
            return Path(directory)
        lane = self.lanes[seed_index]
        weights = {"weight": torch.full((2, 2), float(lane.episode))}
        states = {c.state_key: c.state_dict() for c in self.callbacks}
        Checkpoint.write(
            directory,
            metadata={
                "agent": "liquid_ddpg",
                "seed": self.agent.seeds[seed_index],
                "settings": {},
                "optimizers": {},
                "progress": {"episode": lane.episode, "step": lane.step, "update": lane.update},
                "train_state": {"run_id": self.run_id, "callbacks": states, "lineage": lane.lineage},
            },
            tensors={"model_state": weights, "optim_state": {}, "train_state": weights},
            config={"agent": "liquid_ddpg"} if config else None,
        )
        self.saves.append((Path(directory).name, buffer, config))
        self.fire("on_checkpoint_saved", Path(directory))
        return Path(directory)

    def evaluate(self, seed_indices: Sequence[int] | None = None) -> list[Evaluation]:
        raise NotImplementedError("no callback evaluates")

    def log(self, metrics: Mapping[str, float], *, seed_index: int = 0) -> None:
        raise NotImplementedError("no callback logs")

    def log_video(self, path: str | Path, step: int | None = None, *, name: str = "video", seed_index: int = 0) -> None:
        raise NotImplementedError("no callback records")

    def log_figure(self, figure: Any, step: int | None = None, *, name: str = "figure", seed_index: int = 0) -> None:
        raise NotImplementedError("no callback draws")

    def film(
        self,
        path: str | Path,
        *,
        episodes: int = 1,
        seed: int | None = None,
        every: int = 1,
        max_steps: int = 100_000,
        seed_index: int = 0,
    ) -> Filmed | None:
        raise NotImplementedError("no callback records")

    def choose_evaluation(self, *, episodes: int | None = None, seed: int | None = None) -> None:
        raise NotImplementedError("no callback evaluates")

    def check_environment_attributes(self, names: Sequence[str]) -> None:
        raise NotImplementedError("there is no environment")

    def change_environment(self, parameters: Mapping[str, float], *, seed_index: int = 0) -> None:
        raise NotImplementedError("there is no environment")

    # ---- the run, as a real trainer would fire it

    def fire(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, self.agent, *args)

    def start(self) -> None:
        self.fire("setup", "fit")
        self.fire("on_fit_start")
        self.fire("on_train_start")

    def play(self, *returns: float, seed_index: int = 0) -> None:
        """Finish one episode per return, each of 200 steps."""
        lane = self.lanes[seed_index]
        for value in returns:
            lane.episode += 1
            lane.step += 200
            lane.moving.add(value)
            lane.last_return = value
            episode = Episode(seed_index, lane.episode, reset_seed=0, reward=value, length=200, truncated=True)
            self.fire("on_episode_end", episode)
            self.fire("on_train_epoch_end")
            self.fire("on_step_end")

    def take_steps(self, n: int, *, seed_index: int = 0) -> None:
        """Take environment steps that end no episode."""
        for _ in range(n):
            self.lanes[seed_index].step += 1
            self.fire("on_step_end")

    def learn(self, updates: int = 1) -> None:
        for _ in range(updates):
            if not self.update:
                self.fire("on_warmup_end")
            for lane in self.lanes:
                lane.update += 1
            self.fire("on_train_batch_end", {}, None, self.update - 1)

    def show_evaluation(self, *returns: float, seed_index: int = 0) -> None:
        lane = self.lanes[seed_index]
        self.fire("on_evaluation_start")
        self.last_evaluation = lane.evaluation = Evaluation(seed_index, lane.step, lane.episode, returns)
        self.fire("on_evaluation_end", self.last_evaluation)

    def end(self, status: str = "finished") -> None:
        self.status = status
        self.fire("on_train_end")
        self.fire("on_fit_end")
        self.fire("teardown", "fit")

    def crash(self, error: BaseException) -> None:
        self.status = "crashed"
        self.fire("on_exception", error)


def check_protocols(trainer: Trainer, agent: Agent) -> tuple[TrainerView, AgentView]:
    """Let a type checker compare the stand-ins with what callbacks are promised."""
    return trainer, agent
