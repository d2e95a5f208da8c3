"""``velora check-env``: of an environment in the current directory, with keywords and wrappers."""

from __future__ import annotations

from pathlib import Path

from tests.integration.conftest import Command

TANK = """
import gymnasium as gym
import numpy as np

class Tank(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Discrete(3)

    def __init__(self, width=2):
        self.width = width

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.random(self.width).astype(np.float32), {}

    def step(self, action):
        return self.np_random.random(2).astype(np.float32), float(action), False, False, {}

gym.register("CommandTank-v0", "command_tank:Tank", max_episode_steps=20)
"""


def test_it_says_what_fits_and_how_to_train(command: Command, tmp_path: Path) -> None:
    (tmp_path / "command_tank.py").write_text(TANK)
    before = sorted(tmp_path.iterdir())
    code, out, err = command("check-env", "command_tank:CommandTank-v0", "steps=60")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "environment   command_tank:CommandTank-v0"
    assert "puts out      one of 3 actions, numbered from 0" in lines
    assert "agents        liquid_ppo, liquid_sac" in lines
    assert "train         velora train env.id=command_tank:CommandTank-v0 agent=liquid_ppo" in lines
    assert lines[-1] == "no problems"
    assert [path.name for path in sorted(tmp_path.iterdir()) if path.name != "__pycache__"] == [p.name for p in before]


def test_a_problem_is_one_line_and_code_2(command: Command, tmp_path: Path) -> None:
    (tmp_path / "command_tank.py").write_text(TANK)
    code, out, err = command("check-env", "command_tank:CommandTank-v0", "+env.kwargs.width=5")
    assert code == 2
    assert out.splitlines()[-1].startswith("problem: reset(seed=0): expected reset to return an observation of 2")
    assert err == "velora check-env: command_tank:CommandTank-v0: 1 problem, see above\n"


def test_wrappers_are_part_of_it_and_of_the_command(command: Command) -> None:
    code, out, _ = command("check-env", "env=pendulum", "env/mask=velocity", "steps=100")
    assert code == 0
    assert "agent sees    2 numbers, as given" in out.splitlines()
    assert "train         velora train env=pendulum env/mask=velocity" in out.splitlines()


def test_the_command_names_the_directory_of_files(command: Command, tmp_path: Path) -> None:
    (tmp_path / "my conf" / "env").mkdir(parents=True)
    (tmp_path / "my conf" / "env" / "mine.yaml").write_text("id: CartPole-v1\n")
    code, out, _ = command("check-env", "--config-dir", "my conf", "env=mine", "steps=50")
    assert code == 0
    assert "train         velora train '--config-dir=my conf' env=mine agent=liquid_ppo" in out.splitlines()


def test_mistakes_are_one_line(command: Command) -> None:
    for words, said in (
        (["steps=3"], "expected an environment, as in velora check-env my_module:MyEnv-v0, or env=pendulum"),
        (["CartPol-v1"], "did you mean 'CartPole-v1'?"),
        (["env=pendulum", "step=3"], "did you mean steps?"),
        (["Pendulum-v1", "+env.kwargs.gg=3"], "unexpected keyword argument 'gg'"),
    ):
        code, _, err = command("check-env", *words)
        assert code == 2
        assert said in err
        assert err.count("\n") == 1
