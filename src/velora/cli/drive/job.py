"""The job of ``velora drive``: a plant, a policy and a loop from the settings, and the report at the end."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from velora.checkpoint import Checkpoint
from velora.checkpoint.atomic_save import check_target
from velora.checkpoint.choice import choose_checkpoint
from velora.cli.drive.plants import Chosen, choose_plant
from velora.cli.drive.policies import Policies
from velora.cli.run.run_directory import started_in
from velora.cli.run.saved_agent import given_checkpoint, load_agent
from velora.core.errors import PlantError, SettingError
from velora.core.terminal import say
from velora.drive import report
from velora.drive.clock import SystemClock
from velora.drive.compiled_loop import CompiledLoop
from velora.drive.learning import LearningController
from velora.drive.loop import Driven, Loop
from velora.drive.quiet import prioritised, quiet, raise_priority
from velora.drive.rates import check_rate, rehearse
from velora.drive.recorder import Recorder, check_format
from velora.drive.settings import DriveSettings
from velora.models import Agent

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


@dataclass(frozen=True, slots=True)
class _Job:
    """The parts of a drive."""

    cfg: DictConfig
    settings: DriveSettings
    chosen: Chosen
    policies: Policies
    recorder: Recorder | None
    stop: threading.Event
    safe: Any

    def run(self) -> Driven:
        """Drive, in Python or in C."""
        return self._in_c() if self.cfg.loop == "c" else self._in_python()

    def _in_python(self) -> Driven:
        cfg, controller = self.cfg, self.policies.controller
        assert self.chosen.plant is not None
        clock = SystemClock(cfg.spin_us)
        own: dict[str, Any] = {"safe": self.safe, "recorder": self.recorder, "clock": clock, "stop": self.stop}
        loop = Loop(controller, self.chosen.plant, self.settings, **own)
        if isinstance(controller, LearningController):
            controller.start()
        try:
            with quiet(), prioritised(cfg.priority):
                return loop.run()
        finally:
            controller.close()

    def _in_c(self) -> Driven:
        cfg, policy = self.cfg, self.policies.compiled
        assert policy is not None
        own: dict[str, Any] = {"safe": self.safe, "recorder": self.recorder, "stop": self.stop, "spin_us": cfg.spin_us}
        prepare = partial(raise_priority, cfg.priority)
        loop = CompiledLoop(policy, self.chosen.plant, self.settings, prepare=prepare, **own)
        with quiet(), prioritised(max(0, cfg.priority - 1)):
            return loop.run()


def run_drive(cfg: DictConfig, run_dir: Path) -> float:
    """Drive, print how well the clock was kept, and the same as a last line of JSON.

    Args:
        cfg: settings of the shape of ``conf/drive.yaml``.
        run_dir: not used; nothing but the recording and what was learned is written.

    Returns:
        The mean return of the episodes that ended; 0 if none did.

    Raises:
        VeloraError: if something can't be made, the rate can't be held, or the watchdog or the plant ended the drive.
    """
    _check(cfg)
    given, here = given_checkpoint(cfg)
    path = choose_checkpoint(given)
    agent, _ = load_agent(cfg, here / path)
    chosen = choose_plant(cfg, here / path, agent)
    with contextlib.ExitStack() as stack:
        if chosen.plant is not None:
            stack.callback(chosen.plant.close)
        settings = _settings(cfg, chosen)
        policies = Policies.make(cfg, agent, Checkpoint.open(here / path), chosen.source)
        _check_rate(cfg, settings, chosen, policies)
        recorder = _recorder(cfg, here, policies)
        if recorder is not None:
            stack.callback(_close, recorder)
        stop = stack.enter_context(_stopping())
        safe = OmegaConf.to_container(cfg.safe) if isinstance(cfg.safe, ListConfig) else cfg.safe
        job = _Job(cfg, settings, chosen, policies, recorder, stop, safe)
        _introduce(job)
        driven = job.run()
    about = {"checkpoint": str(path), "plant": cfg.plant, "policy": policies.name, "loop": cfg.loop}
    _conclude(job, driven, about | _learned(cfg, here, agent, policies))
    returns = driven.tally.episodes
    return sum(returns) / len(returns) if returns else 0.0


def _check(cfg: DictConfig) -> None:
    """Refuse settings that don't go together, and places that can't be written to, before anything is loaded."""
    if cfg.loop not in ("python", "c"):
        raise SettingError(f"loop: expected python or c, got {cfg.loop!r}")
    if str(cfg.plant).endswith(".c") and cfg.loop != "c":
        raise SettingError("plant: one in C needs the loop in C: add loop=c")
    if cfg.learn and (cfg.loop == "c" or cfg.policy != "python"):
        raise SettingError("learn: a policy in C can't learn; leave out policy and loop")
    if cfg.save is not None and not cfg.learn:
        raise SettingError("save: nothing is learned without learn=true; add that, or leave it out")
    if cfg.spin_us < 0:
        raise SettingError(f"spin_us: expected at least 0, got {cfg.spin_us:g}")
    here = started_in()
    if cfg.record is not None:
        check_format(here / cfg.record)
    if cfg.save is not None:
        check_target(here / cfg.save, overwrite=True)


def _settings(cfg: DictConfig, chosen: Chosen) -> DriveSettings:
    names = ("rate", "steps", "deadline", "misses", "silent_s", "recover")
    return DriveSettings(step_s=chosen.step_s, **{name: cfg[name] for name in names})


def _check_rate(cfg: DictConfig, settings: DriveSettings, chosen: Chosen, policies: Policies) -> None:
    if cfg.loop == "c":
        assert policies.compiled is not None
        check_rate(policies.compiled.step_s(), settings, advice="")
        return
    advice = "" if policies.compiled is not None or cfg.learn else ", or more with policy=c or loop=c"
    with quiet():
        check_rate(rehearse(policies.controller, chosen.plant, settings), settings, advice=advice)


def _recorder(cfg: DictConfig, here: Path, policies: Policies) -> Recorder | None:
    if cfg.record is None:
        return None
    sizes = policies.sizes
    return Recorder(here / cfg.record, n_observations=sizes.n_observations, n_actions=sizes.n_actions)


def _close(recorder: Recorder) -> None:
    say(f"recorded    {recorder.close()}\n")


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Give an event that Ctrl+C, SIGTERM and SIGHUP set: the loop ends in order. A second Ctrl+C ends at once."""
    stop, before = threading.Event(), {}

    def end(number: int, _: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt("interrupted; the safe action was written")
        stop.set()

    if threading.current_thread() is threading.main_thread():
        before = {n: signal.signal(n, end) for name in _ENDING if (n := getattr(signal, name, None)) is not None}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _introduce(job: _Job) -> None:
    settings = job.settings
    share = 1.0 / (settings.rate * settings.control_step_s)
    safe = job.policies.sizes.safe(job.safe).tolist()
    for name, text in (
        ("plant", job.chosen.words),
        ("policy", f"{job.policies.name}; loop in {'C' if job.cfg.loop == 'c' else 'Python'}"),
        ("schedule", f"{settings.rate:g} ticks a second, {settings.period_ns / 1e6:g} ms each; {_length(settings)}"),
        ("time", f"a control step is {settings.control_step_s * 1e3:g} ms, so a regular tick is dt = {share:.4g}"),
        ("safe action", f"{safe}, after {settings.misses} misses in a row or {settings.silent_s:g} s of silence"),
        *([("learning", _kept(job.cfg))] if job.cfg.learn else []),
    ):
        say(f"{name:<12}{text}\n")


def _length(settings: DriveSettings) -> str:
    if settings.steps is None:
        return "until Ctrl+C"
    return f"{settings.steps:,} of them, {settings.steps / settings.rate:.4g} s"


def _kept(cfg: DictConfig) -> str:
    return "is lost at the end; add save=DIR to keep it" if cfg.save is None else f"is saved at the end, in {cfg.save}"


def _learned(cfg: DictConfig, here: Path, agent: Agent, policies: Policies) -> dict[str, Any]:
    learner = policies.controller
    if not isinstance(learner, LearningController):
        return {}
    say(f"learned     {learner.n_updates:,} updates, {learner.n_dropped:,} transitions dropped\n")
    if learner.problem:
        raise PlantError(f"learn: it ended after {learner.n_updates} updates: {learner.problem}")
    if cfg.save is not None:
        say(f"saved       {agent.save(here / cfg.save)}\n")
    return {"updates": learner.n_updates, "dropped": learner.n_dropped}


def _conclude(job: _Job, driven: Driven, about: dict[str, Any]) -> None:
    say("".join(f"{line}\n" for line in report.lines(driven, job.settings)))
    say(json.dumps(report.record(driven, job.settings, about)) + "\n")
    if not driven.is_sound:
        raise PlantError(driven.ended)
