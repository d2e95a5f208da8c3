"""Try an installed Velora as a user would, without the checkout: ``python tests/smoke/wheel.py --kernel native``.

Run by ``make wheel-smoke`` and by the workflows, in a fresh environment for each wheel and each Python.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np

import velora
from velora import kernels
from velora.models import LiquidDDPG


def command(*words: str) -> str:
    """Run the installed ``velora``, and return what it prints."""
    program = shutil.which("velora", path=sysconfig.get_path("scripts"))
    assert program is not None, "the command velora isn't installed"
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"velora {' '.join(words)}: exit code {done.returncode}\n{done.stderr}"
    return done.stdout


def check_installation(kernel: str) -> None:
    """Look at where Velora lies, what its command says, and which kernel computes."""
    place = Path(velora.__file__).resolve()
    assert place.is_relative_to(Path(sysconfig.get_path("platlib")).resolve()), f"{place} isn't the installed package"
    assert command("--version") == f"velora {velora.__version__}\n"
    found = json.loads(command("doctor", "--json"))
    assert found["versions"]["velora"] == velora.__version__
    assert kernels.report().is_built == (kernel == "native"), kernels.report()
    assert found["kernel"]["in_use"] == kernel, found["kernel"]
    assert kernel != "native" or found["self_check"]["agrees"], found["self_check"]
    print(f"velora {velora.__version__}, python {sys.version.split()[0]}, torch {found['versions']['torch']}")
    print(f"kernel: {kernel} ({found['kernel']['instruction_set']})", flush=True)


def check_agent(kernel: str, directory: Path) -> None:
    """Train two short episodes, save, load, predict the same, and go on."""
    agent = LiquidDDPG(3, 10, 1, device="cpu", seed=0, warmup_steps=50)
    assert agent.kernel == kernel, agent.kernel
    before = agent.actor.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    result = agent.train("Pendulum-v1", 16, n_episodes=2, progress_bar=False, summary=False, run_dir=directory / "run")
    assert result.status == "finished", result
    assert any(not value.equal(before[name]) for name, value in agent.actor.state_dict().items()), "nothing was learned"
    loaded = LiquidDDPG.load(agent.save(directory / "ep2", buffer=True), buffer=True)
    state = [1.0, 0.0, 0.5]
    action, hidden = loaded.predict(state)
    assert np.array_equal(action, agent.predict(state)[0]), "a loaded agent acts otherwise"
    assert np.isfinite(loaded.predict(state, hidden)[0]).all()
    print(f"trained, saved, loaded; action {float(action[0]):.4f}", flush=True)
    for name in velora.zoo():
        velora.zoo(name)
    assert "LiquidSAC" in command("show", "zoo:pendulum")
    print(f"the zoo loads: {', '.join(velora.zoo())}", flush=True)


def main() -> None:
    """Check everything; the first thing that is wrong ends it with exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", choices=("native", "numpy"), default="native", help="what must have been built")
    kernel = parser.parse_args().kernel
    check_installation(kernel)
    with tempfile.TemporaryDirectory() as directory:
        check_agent(kernel, Path(directory))
        run = Path(directory, "command").as_posix()
        command("train", "train.n_episodes=1", "agent.warmup_steps=50", f"hydra.run.dir={run}")
        assert "final" in command("compare", run), "velora compare lacks what it reads"
    print("velora train works without a checkout")


if __name__ == "__main__":
    main()
