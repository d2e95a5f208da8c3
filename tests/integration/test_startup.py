"""What starts without what: predicting without training's packages, and the doctor without the frameworks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import velora
from tests.unit.analysis.run_directories import make_run
from velora.models import LiquidDDPG

TRAINING = ("lightning", "hydra", "omegaconf", "sqlite3", "rich", "gymnasium", "mujoco", "filelock", "matplotlib")
LOADED = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


def loaded_after(code: str) -> set[str]:
    """Run code in a fresh process, and return the packages that it has imported."""
    words = [sys.executable, "-c", f"{code}\n{LOADED}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("package", "load"), [("from velora.models import LiquidDDPG", "LiquidDDPG.load"), ("import velora", "velora.load")]
)
@pytest.mark.some(1)
def test_an_agent_is_loaded_and_predicts_without_what_training_needs(package: str, load: str, tmp_path: Path) -> None:
    path = LiquidDDPG(3, 4, 1, device="cpu", seed=0).save(tmp_path / "ep1")
    loaded = loaded_after(
        f"{package}\n"
        f"agent = {load}({str(path)!r})\n"
        f"action, hidden = agent.predict([0.1, 0.2, 0.3])\n"
        f"agent.predict([[0.1, 0.2, 0.3]], explore=True)\n"
        f"agent.save({str(tmp_path / 'again')!r})"
    )
    assert "torch" in loaded
    assert loaded.isdisjoint(TRAINING)


def test_importing_velora_imports_little() -> None:
    packages = {"torch", "numpy", "pydantic", "safetensors", *TRAINING}
    assert loaded_after("import velora; velora.__version__").isdisjoint(packages)


@pytest.mark.parametrize("words", [["doctor"], ["doctor", "--json"]])
@pytest.mark.some(1)
def test_the_doctor_needs_no_framework(words: list[str]) -> None:
    loaded = loaded_after(f"from velora.cli.main import main\nassert main({words!r}) == 0")
    assert loaded.isdisjoint(set(TRAINING) - {"rich"})


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["doctor", "--help"],
        ["train", "--help"],
        ["evaluate", "--help"],
        ["export", "--help"],
        ["train", "train.n_episods=3"],
    ],
)
def test_help_and_slips_do_not_wait_for_torch(words: list[str]) -> None:
    loaded = loaded_after(f"from velora.cli.main import main\nmain({words!r})")
    assert loaded.isdisjoint({"torch", "lightning", "gymnasium", "pydantic", "numpy"})


def test_a_list_of_runs_waits_for_no_framework(tmp_path: Path) -> None:
    make_run(tmp_path / "a", -1.0)
    loaded = loaded_after(f"from velora.cli.main import main\nassert main(['runs', {str(tmp_path)!r}]) == 0")
    assert loaded.isdisjoint({"torch", "pydantic", "pandas", *TRAINING} - {"sqlite3", "filelock"})


def test_settings_are_imported_without_torch() -> None:
    loaded = loaded_after("from velora.models.settings import PPOSettings\nPPOSettings.options()")
    assert "pydantic" in loaded
    assert loaded.isdisjoint({"torch", *TRAINING})


@pytest.mark.slow
def test_whoever_imports_one_agent_has_them_all_by_their_keys() -> None:
    imports = "from velora.models import LiquidDDPG\nfrom velora.checkpoint import agents\n"
    code = imports + "from velora.models.keywords import AGENTS\nassert sorted(agents) == sorted(AGENTS)"
    assert "torch" in loaded_after(code)


def test_python_m_velora_is_the_command() -> None:
    def run(*words: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "velora", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout, done.stderr

    assert run("--version") == (0, f"velora {velora.__version__}\n", "")
    assert run("trian") == (2, "", "velora trian: 'trian' is no command; did you mean train?\n")
    assert loaded_after("import velora.__main__").isdisjoint({"torch", "hydra", *TRAINING})


def test_names_that_are_imported_on_demand_are_there() -> None:
    import velora.callbacks
    import velora.envs
    import velora.models
    import velora.training

    for package in (velora, velora.callbacks, velora.envs, velora.models, velora.training):
        for name in package.__all__:
            assert name in dir(package)
            assert getattr(package, name) is not None
        with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'Nothing'"):
            _ = package.Nothing
