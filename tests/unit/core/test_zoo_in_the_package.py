"""The zoo in the package: a list without PyTorch, an agent in one line, a name for commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import velora
from velora.checkpoint.choice import choose_checkpoints
from velora.core import zoo
from velora.core.errors import CheckpointError
from velora.models import LiquidSAC

ROOT = Path(__file__).parents[3]


def test_an_agent_comes_with_one_line() -> None:
    agent = velora.zoo("pendulum")
    assert isinstance(agent, LiquidSAC)
    assert agent.settings.n_neurons == velora.zoo()["pendulum"].neurons
    assert agent.predict([1.0, 0.0, 0.0])[0].shape == (1,)


def test_a_list_needs_no_pytorch() -> None:
    program = "import sys, velora; print(len(velora.zoo()), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{len(zoo.scores())} False\n"


def test_commands_take_its_names() -> None:
    assert choose_checkpoints(Path("zoo:pendulum")) == [zoo.PLACE / "pendulum" / "ep34"]
    assert zoo.resolve("zoo/pendulum") == Path("zoo/pendulum")


@pytest.mark.parametrize(
    ("name", "hint"), [("pendulm", "did you mean pendulum?"), ("xyz", "expected one of pendulum,")]
)
def test_an_unknown_name_is_one_line(name: str, hint: str) -> None:
    with pytest.raises(CheckpointError, match=hint.replace("?", r"\?")) as caught:
        velora.zoo(name)
    assert "\n" not in str(caught.value)


def test_every_file_of_it_is_in_the_wheel() -> None:
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["velora"]
    package = ROOT / "src" / "velora"
    packed = {path for pattern in settings for path in package.glob(pattern)}
    needed = {path for path in zoo.PLACE.rglob("*") if path.is_file() and path.suffix != ".md"}
    assert needed
    assert needed <= packed
