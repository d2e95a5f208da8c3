"""The documentation runs: every snippet, and every command up to the point where training would begin."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import io
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub import hub
from tests.shared import root_logger_kept
from velora.cli.main import main
from velora.cli.run import evaluation, record
from velora.core import seeding
from velora.core.types import Evaluation, Filmed
from velora.models import Agent
from velora.proof.targets import find_targets
from velora.training import Trainer, TrainResult
from velora.training.loggers.kinds import KINDS

__all__ = ["hub"]
ROOT = Path(__file__).parents[2]
PROJECT = ("README", "CONTRIBUTING", "RELEASING", "SECURITY", "CODE_OF_CONDUCT")
PAGES = [*(ROOT / f"{name}.md" for name in PROJECT), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"(?P<run><!-- run -->\n)?^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]*)\")?\n(?P<code>.*?)^```$", re.M | re.S
)
USER_SNIPPETS = "07e5eb63cf675150bcbcb7cb7fdbad9996810b70477840da97ec2b148b6fe2ec"
"""Of the five snippets that the project was created from; they are a promise, so they never change."""


SLOW = {
    "docs/getting-started.md",
    "docs/guide/configuration.md",
    "docs/guide/distil.md",
    "docs/guide/microcontroller.md",
    "docs/guide/own-cell-and-agent.md",
    "docs/guide/real-time.md",
    "docs/guide/results.md",
    "docs/guide/share.md",
    "docs/guide/slow-simulators.md",
    "docs/guide/sweeps.md",
    "docs/guide/time-and-partial-observation.md",
    "docs/guide/tuning.md",
    "docs/guide/watch.md",
    "docs/guide/your-own-environment.md",
    "docs/tutorial/callback.md",
    "docs/tutorial/write-a-callback.md",
}
"""Pages of many commands, or of training, that take ten seconds and more; the others run by default."""


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``line`` is where its code begins."""

    language: str
    title: str
    code: str
    line: int
    is_run: bool


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(m["language"], m["title"] or "", m["code"], text[: m.start("code")].count("\n") + 1, bool(m["run"]))
        for m in FENCE.finditer(text)
    ]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


# ---------------------------------------------------------------------------------------------- snippets and commands


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty directory, as a reader would, and leave no trace in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(seeding, "_process_seed", None)
    modules = set(sys.modules)
    with root_logger_kept():
        yield tmp_path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train for a moment: what ``<run>`` stands for in the pages."""
    run = tmp_path_factory.mktemp("outputs") / "run"
    short = ["train.n_episodes=3", "train.evaluate_every=3", "train.evaluation_episodes=1", "agent.warmup_steps=500"]
    streams = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with streams[0], streams[1], root_logger_kept():
        assert main(["train", f"hydra.run.dir={run}", "train.seed=0", "checkpoint.frequency=1", *short]) == 0
    return run


def check_and_finish(agent: Agent, env: Any, batch_size: int, **settings: Any) -> TrainResult:
    """Stand in for ``Agent.train``: everything is made and checked, and nothing is trained."""
    resume = settings.pop("resume")
    assert resume is None or resume.is_dir()
    Trainer(batch_size=batch_size, **settings)
    n = agent.n_seeds
    evaluations = [Evaluation(k, 0, 1, (0.0,)) for k in range(n)]
    return TrainResult("finished", None, [[0.0]] * n, evaluations, settings["run_dir"], [None] * n, [1] * n)


def installed(words: list[str]) -> bool:
    """Return whether the loggers of a command are; the heavy ones are in no environment by default."""
    chosen = [kind for name, kind in KINDS.items() if f"logger={name}" in words]
    return all(not kind.needs or any(map(importlib.util.find_spec, kind.needs)) for kind in chosen)


def study_beside(run: Path) -> Path:
    """Begin a study, in which nothing has been trained: what ``<study>`` stands for in the pages."""
    study = run.with_name("study")
    if not study.exists():
        assert main(["tune", "agent.n_neurons=10,20", f"study={study}"]) == 0
    return study


def run_command(line: str, run: Path) -> None:
    if line.startswith("velora tune"):
        pytest.importorskip("optuna", reason="pip install -e '.[tune]'")
        line = line.replace("<study>", str(study_beside(run)) if "<study>" in line else "")
    words = shlex.split(line.replace("<run>", str(run)), comments=True)
    if words[:1] == ["python"]:  # python scripts/train.py is velora train
        assert (ROOT / words[1]).is_file(), line
        words = ["velora", Path(words[1]).stem, *words[2:]]
    if not installed(words):
        return
    match words:
        case ["velora", "plot" | "compare" as command, *arguments]:
            assert main([command, *(str(run) if word == "multirun" else word for word in arguments)]) == 0, line
        case ["velora", "runs", *arguments]:
            arguments = [str(run) if word == "multirun" else word for word in arguments if word != "watch=true"]
            assert main(["runs", *arguments, *([] if str(run) in arguments else [str(run)])]) == 0, line
        case ["velora", "audit", *arguments]:
            assert main(["audit", *arguments, "episodes=1", "max_steps=10"]) == 0, line
        case ["velora", "drive", *arguments]:
            if "loop=c" in arguments and shutil.which("cc") is None:
                return
            assert main(["drive", *arguments, "misses=100000", "silent_s=60"]) == 0, line  # however busy the machine
        case ["velora", "prove", *arguments]:
            given = {name: value for name, _, value in (word.partition("=") for word in arguments)}
            if not any(one.missing for one in find_targets(given.get("target", "all").split(","))):
                assert main(["prove", *arguments, "steps=20", "episodes=1"]) == 0, line
        case ["velora", *arguments]:
            assert main(arguments) == 0, line
        case ["make", "-C", _, *_] | ["echo", _, "|", *_]:  # what an export wrote
            if shutil.which("cc") and shutil.which("make"):
                subprocess.run(line, shell=True, check=True, capture_output=True)
        case ["make", target]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), line
        case [] | ["source", ".venv/bin/activate"]:
            pass
        case _:
            pytest.fail(f"{line!r}: this test doesn't know what to do with it")


def run_shell(block: Block, run: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VELORA_CORES", "1")  # jobs of a sweep run in this process
        if not block.is_run:
            patch.setattr(Agent, "train", check_and_finish)
            patch.setattr(evaluation, "play", lambda *_, **__: [0.0])
            patch.setattr(record, "film", lambda agent, env, path, *_, **__: Filmed(path, 1, (0.0,)))
            patch.setattr("velora.cli.tune.command._search", lambda *_: 0)
        for line in block.code.splitlines():
            run_command(line, run)


def run_block(block: Block, page: Path, namespace: dict[str, Any], run: Path) -> None:
    if block.title.endswith((".py", ".yaml", ".csv")):
        Path(block.title).parent.mkdir(parents=True, exist_ok=True)
        Path(block.title).write_text(block.code)
    elif block.language == "python":
        exec(compile("\n" * (block.line - 1) + block.code, page, "exec"), namespace)
    elif block.language == "bash":
        run_shell(block, run)
    elif block.language == "sql":
        with contextlib.closing(sqlite3.connect(run / "metrics.db")) as database:
            database.execute(block.code).fetchall()


def with_code() -> Iterator[Any]:
    for page in PAGES:
        if blocks(page):
            marks = [pytest.mark.slow] if name_of(page) in SLOW else []
            yield pytest.param(page, id=name_of(page), marks=marks)


@pytest.mark.parametrize("page", list(with_code()))
def test_snippets_and_commands_run(
    page: Path, workshop: Path, finished_run: Path, request: pytest.FixtureRequest
) -> None:
    if "user/name" in page.read_text():
        pytest.importorskip("huggingface_hub", reason="pip install -e '.[hub]'")
        request.getfixturevalue("hub")  # the pages share with a Hub on this machine
    namespace: dict[str, Any] = {"__name__": "__main__"}
    out, err = io.StringIO(), io.StringIO()
    for block in blocks(page):
        if block.title == "Output":
            assert out.getvalue() == block.code, f"{name_of(page)}:{block.line}"
        elif block.title == "Error output":
            assert err.getvalue() == block.code, f"{name_of(page)}:{block.line}"
        else:
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                run_block(block, page, namespace, finished_run)


def test_the_snippets_of_the_first_user_are_unchanged() -> None:
    page = blocks(ROOT / "docs/tutorial/saving-and-loading.md")
    snippets = "\n".join(block.code for block in page if block.language == "python" and not block.title)
    assert hashlib.sha256(snippets.encode()).hexdigest() == USER_SNIPPETS


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_fence_escapes_the_tests(page: Path) -> None:
    assert len(re.findall(r"^\s*(?:```|~~~)", page.read_text(), re.M)) == 2 * len(blocks(page))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link


@pytest.mark.parametrize("page", sorted((ROOT / "docs/adr").glob("*.md")), ids=name_of)
def test_a_decision_has_its_three_parts(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Decision", "## Consequences"]
    assert len(lines) < 60
    status = r"Status: (accepted|superseded by \[\d{4}\]\([\w-]+\.md\))[.,] (Date: )?20\d\d-\d\d-\d\d\b"
    assert re.match(status, lines[2])
