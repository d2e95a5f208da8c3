"""Every slip on a command line gets one line that says what to write instead, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MISTAKES = {
    "train train.n_episods=3": "train.n_episods: no such setting; did you mean train.n_episodes?",
    "train n_episodes=3": "n_episodes: no such setting; did you mean train.n_episodes?",
    "train train.n_episodes=abc": "train.n_episodes: expected a whole number, got 'abc'",
    "train train.n_episodes=1.5": "train.n_episodes: expected a whole number, got '1.5'",
    "train train.seed=x": "train.seed: expected a whole number or null, got 'x'",
    "train train.progress_bar=maybe": "train.progress_bar: expected true or false, got 'maybe'",
    "train agent.gamma=high": "agent.gamma: expected a number, got 'high'",
    "train agent.critic_units=5": "agent.critic_units: expected a list, got '5'",
    "train env=pendulm": "env=pendulm: no such choice; did you mean pendulum?",
    "train env=Pendulum-v1": "no such choice; a registered Gymnasium id is given as env.id=Pendulum-v1",
    "train logger=[csv,cvs]": "logger=cvs: no such choice; did you mean csv?",
    "train experiment=zzz": "experiment=zzz: no such choice; choose one of balance, irregular_time, memory, "
    "memory_discrete, neurons",
    "train callbacks.mine._target_=a.B": "no such setting; write +callbacks.mine._target_=a.B to add it",
    "train agnt=foo": "agnt: no such setting; did you mean agent?",
    "train +agent.unitz=3": "agent.unitz: no such setting; did you mean agent.critic_units?",
    "train +zzz=3": "zzz: no such setting; see --help",
    "train +train.batch_size=3": "+train.batch_size=3: ",
    "train ~train.zzz": "~train.zzz: ",
    "train train.seed.zzz=3": "train.seed.zzz: no such setting",
    "train callbacks.early_stopping.target=0": "not part of the settings yet; choose callbacks=early_stopping as well",
    "train env.kwargs.g=3": "env.kwargs.g: no such setting; write +env.kwargs.g=3 to add it",
    "train callbacks.mine.n=3": "callbacks.mine.n: no such setting; write +callbacks.mine.n=3 to add it",
    "train train.seed=0,1": "train.seed: got several values; add -m",
    "train -m train.seed=0,x": "train.seed: expected a whole number or null, got 'x'",
    "train -m env=pendulum,zzz": "env=zzz: no such choice; choose one of cartpole, half_cheetah",
    "train train.n_episodes=${env.id}": "Value 'Pendulum-v1' of type 'str' could not be converted to Integer",
    "train env.id=${nowhere}": "Interpolation key 'nowhere' not found",
    "train hydra.run.dr=x": "hydra.run.dr: no such setting; did you mean hydra.run.dir?",
    "train --epochs 3": "--epochs: no such option; settings are written name=value",
    "train --config-name zzz": "Cannot find primary config 'zzz'",
    "train pendulum": "pendulum: expected name=value",
    "train resume=/nowhere": "/nowhere does not exist",
    "train resume=.": ". is no run: it has no config.yaml",
    "evaluate": "checkpoint: needs a value; give a run or one of its checkpoints as checkpoint=...",
    "evaluate checkpoint=.": ".: expected a checkpoint, or a run with a valid one, found nothing",
    "evaluate checkpoint=/nowhere episodes=x": "episodes: expected a whole number, got 'x'",
    "evaluate checkpoint=/nowhere/ep1": "/nowhere/ep1",
    "evaluate checkpoint=/nowhere episodes=0": "episodes: expected at least 1, got 0",
    "train env.id=Pendulm-v1": "did you mean 'Pendulum-v1'?",
    "train env.id=nowhere_at_all:Mine-v0": "needs a module 'nowhere_at_all'",
    "plot run metric=critic/loss": "velora plot draws the return of everything; velora compare takes that word",
    "train env.id=mine/Mine-v0": "if a module of yours registers it, name that first: my_module:mine/Mine-v0",
    "train env.id=CartPole-v1": (
        "LiquidDDPG gives numbers, and CartPole-v1 has discrete actions; choose agent=liquid_ppo or agent=liquid_sac\n"
    ),
    "train +env.kwargs.zzz=1": "env.kwargs: Pendulum-v1 takes other keywords",
    "train device.threads=0": "threads: expected a whole number of at least 1, got 0",
    "train device=cpu device.name=abacus": "'cuda' or 'cuda:1', got 'abacus'",
    "train device=gpu": "device=gpu: no such choice; did you mean cuda?",
    "train device.name=gpu": "got 'gpu'; did you mean 'cuda'?",
    "train agent.n_neurons=2": "agent.n_neurons: ",
    "train agent.cell=cfcc": "agent.cell: ",
    "train agent._target_=my_module.MyAgent agent.effort=1": (
        "agent.effort: no setting of Velora's agents; if your own class has it, write +agent.effort=1"
    ),
    "train agent.noise_decay_steps=50": "agent.noise_decay_steps: 50 has no effect with noise_final_std=None",
    "train agent=liquid_ppo env=cartpole agent.initial_std=0.5": (
        "agent.initial_std: 0.5 has no effect with discrete=True"
    ),
    "train agent.buffer_size=3": "batch_size: 256 is more than the 3 transitions",
    "train train.n_steps=0": "n_steps: expected a whole number of at least 1, got 0",
    "train train.batch_size=0": "batch_size: expected a whole number of at least 1, got 0",
    "train train.seed=-1": "seed: expected a whole number from 0",
    "train checkpoint.frequency=0": "checkpoint.frequency: expected a whole number >= 1",
    "train callbacks=early_stopping": "callbacks.early_stopping: expected target= or patience=",
    "train callbacks=early_stopping +callbacks.early_stopping.patiense=1": "did you mean patience?",
    "train callbacks=early_stopping callbacks.early_stopping.target=1 callbacks.early_stopping.monitor=evaluation": (
        "'evaluation' needs rounds of evaluation"
    ),
    "train +callbacks.mine._target_=nowhere_at_all.Mine": "there is no module 'nowhere_at_all'",
    "train +logger.mine._target_=os.system": "logger.mine._target_: os has no class 'system'",
    "train hydra.run.dir=/dev/null/run": "/dev/null/run can't be made",
}


@pytest.mark.parametrize(("line", "expected"), MISTAKES.items(), ids=list(MISTAKES))
@pytest.mark.some(16)
def test_a_mistake_gets_one_line(command: Callable[..., Any], tmp_path: Path, line: str, expected: str) -> None:
    code, out, err = command(*line.split())
    assert code == 2
    assert expected in err
    assert err.startswith(f"velora {line.split()[0]}: ")
    assert err.count("\n") == 1, err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_full_traceback_can_be_asked_for(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    code, _, err = command("train", "train.n_episods=3")
    assert code == 2
    assert "Traceback" in err
