"""Completion of the shell: the words by themselves, and the Tab key in real shells."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from velora.cli.completion.candidates import candidates
from velora.cli.main import main

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a Unix shell")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("velora tr", ["train "]),
        ("velora  check", ["check-env "]),
        ("velora nonsense ", []),
        ("velora train env=hop", ["env=hopper "]),
        ("velora train env=pendulum env/ma", ["env/mask="]),
        ("velora train agent=liquid_ppo agent.n_en", ["agent.n_envs="]),
        ("velora train agent.n_en", []),
        ("velora tune sampler_", ["sampler_seed="]),
        ("velora tune agent=liquid_t", ["agent=liquid_td3 "]),
        ("velora train -m agent=liquid_ddpg,liquid_s", ["agent=liquid_ddpg,liquid_sac "]),
        ("velora train agent.critic=l", ["agent.critic=liquid "]),
        ("velora train train.summary=t", ["train.summary=true "]),
        ("velora train train.evaluation_m", ["train.evaluation_max_steps="]),
        ("velora train env.reco", ["env.recommended."]),
        ("velora train +callb", ["+callbacks="]),
        ("velora train --multi", ["--multirun "]),
        ("velora train env.id=CartPole-v", ["env.id=CartPole-v0 ", "env.id=CartPole-v1 "]),
        ("velora check-env Penduli", []),
        ("velora check-env Pendulu", ["Pendulum-v1 "]),
        ("velora evaluate device=c", ["device=cpu ", "device=cuda "]),
        ("velora configs env=hop", ["env=hopper "]),
        ("velora configs env/fl", ["env/flicker "]),
        ("velora plot wi", ["window="]),
    ],
)
@pytest.mark.some(8)
def test_words(line: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert candidates(line) == words


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs" / "run_1").mkdir(parents=True)
    (tmp_path / "outputs" / "run.txt").touch()
    assert candidates("velora verify out") == ["outputs/"]
    assert candidates("velora plot outputs/r") == ["outputs/run.txt ", "outputs/run_1/"]
    assert candidates("velora train resume=outputs/run_") == ["resume=outputs/run_1/"]
    assert candidates("velora evaluate checkpoint=out") == ["checkpoint=outputs/"]
    assert candidates("velora verify nowhere/") == []


def test_an_unknown_shell_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bsh"]) == 2
    assert capsys.readouterr().err == "velora completion: completion: bsh: no such shell; did you mean bash?\n"


class Terminal:
    """A shell in a terminal of its own, that is typed into."""

    def __init__(self, *command: str, cwd: Path) -> None:
        own, other = pty.openpty()
        environment = {**os.environ, "TERM": "dumb", "PS1": "$ ", "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            command, stdin=other, stdout=other, stderr=other, cwd=cwd, env=environment, start_new_session=True
        )
        os.close(other)
        self.own, self.seen = own, ""

    def type(self, text: str) -> None:
        os.write(self.own, text.encode())

    def wait_for(self, text: str, *, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while text not in self.seen and time.monotonic() < end:
            if select.select([self.own], [], [], 0.2)[0]:
                self.seen += os.read(self.own, 4096).decode(errors="replace")
        assert text in self.seen, self.seen

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.own)


@pytest.fixture
def velora(tmp_path: Path) -> str:
    return f'velora() {{ "{sys.executable}" -m velora "$@"; }}; '


@pytest.fixture(params=["bash", "zsh"])
def terminal(request: pytest.FixtureRequest, tmp_path: Path, velora: str) -> Iterator[Terminal]:
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"needs {request.param}: apt-get install {request.param}")
    options, before = {
        "bash": (["--norc", "--noprofile", "-i"], ""),
        "zsh": (["-f", "-i"], "autoload -Uz compinit; compinit -u -D; "),
    }[request.param]
    made = Terminal(shell, *options, cwd=tmp_path)
    made.type(f"{before}{velora} source <(velora completion {request.param}); echo rea''dy\n")
    made.wait_for("ready")
    yield made
    made.close()


@pytest.mark.slow
def test_the_tab_key_in_a_real_shell(terminal: Terminal) -> None:
    for typed, shown in (
        ("velora che", "velora check-env "),
        ("velora train env=hop", "velora train env=hopper "),
        ("velora check-env Pendulu", "velora check-env Pendulum-v1 "),
    ):
        terminal.seen = ""
        terminal.type(f"{typed}\t")
        terminal.wait_for(shown)
        terminal.type("\x15")  # Ctrl+U: forget the line


@pytest.mark.slow
def test_completion_in_fish(tmp_path: Path) -> None:
    fish = shutil.which("fish")
    if fish is None:
        pytest.skip("needs fish: apt-get install fish")
    script = (
        f'function velora; "{sys.executable}" -m velora $argv; end; velora completion fish | source; '
        'complete -C "velora train env=hop"; complete -C "velora che"'
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [fish, "--no-config", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["env=hopper", "check-env"]
