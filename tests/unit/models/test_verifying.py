"""``velora.verify`` and ``velora verify``: which checkpoints are whole, which file of the others is broken, and how."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import velora
from tests.reliability.checkpoint_forgery import forge
from velora.callbacks import SaveCheckpoints
from velora.checkpoint import agents
from velora.cli.main import main
from velora.core.errors import CheckpointError
from velora.models import LiquidDDPG


def make(**own: object) -> LiquidDDPG:
    return LiquidDDPG(3, 6, 1, device="cpu", warmup_steps=4, buffer_size=500, **{"seed": 1, **own})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "one"
    saving = SaveCheckpoints(run / "checkpoints", frequency=1)
    make().train("Pendulum-v1", 4, n_episodes=2, callbacks=[saving], run_dir=run, progress_bar=False, summary=False)
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def flip(path: Path, at: int = -1) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, list[str], str]:
    code = main(["verify", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


def test_a_whole_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = velora.verify(run)
    assert verdicts.is_whole
    assert [verdict.path.name for verdict in verdicts.found] == ["ep1", "ep2", "final"]
    assert [verdict.path.name for verdict in verdicts.newest] == ["final"]
    code, lines, _ = said(capsys, run)
    assert code == 0
    assert lines[0] == (
        "ep1              whole   liquid_ddpg, seed 1, episode 1, step 200, update 196, "
        "with buffer and state of its run"
    )
    assert lines[-2:] == ["metrics.db       whole", "resume           from final"]


def test_the_broken_file_is_named_and_an_older_one_is_taken(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(run / "checkpoints" / "final" / "optim_state.safetensors")
    (run / "checkpoints" / "ep2" / "buffer_state.safetensors").unlink()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, lines, _ = said(capsys, run)
    assert code == 1
    assert lines[0].startswith("ep1              whole ")
    assert "ep2/buffer_state.safetensors: no such file" in lines[1]
    assert "final/optim_state.safetensors: damaged (its SHA-256 isn't the one in metadata.json)" in lines[2]
    assert lines[-1] == "resume           from ep1"
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_metadata_that_is_broken_comes_first(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(run / "checkpoints" / "final" / "metadata.json", at=300)
    code, lines, _ = said(capsys, run)
    assert code == 1
    assert lines[0].startswith("final            BROKEN  ")
    assert "final/metadata.json: " in lines[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d["train_state"]["global_generators"]["numpy"].update(pos=900), "global_generators.numpy.pos"),
        (lambda d: d["settings"].update(n_neurons=4_000), "more than the file with these settings fills"),
        (lambda d: d["settings"].update(gamma=2.0), "settings: gamma"),
        (lambda d: d["progress"].update(step=5), "lane.lived: expected the checkpoint's progress"),
    ],
)
def test_it_is_as_suspicious_as_loading(
    run: Path, capsys: pytest.CaptureFixture[str], change: object, told: str
) -> None:
    """Every digest is right here."""
    forge(run / "checkpoints" / "ep1", metadata=change)  # type: ignore[arg-type]
    code, lines, _ = said(capsys, run / "checkpoints" / "ep1")
    assert code == 1
    assert told in lines[0]


def test_one_checkpoint(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, _ = said(capsys, run / "checkpoints" / "ep1")
    assert (code, lines[-1]) == (0, "resume           from ep1")
    make().save(run / "alone")
    code, lines, _ = said(capsys, run / "alone")
    assert code == 0
    why = "saved without its buffer, or outside of a run"
    assert lines == [
        "alone            whole   liquid_ddpg, seed 1, episode 0, step 0, update 0",
        f"resume           can't go on from alone, the newest that is whole: {why}",
    ]


def test_several_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saving = SaveCheckpoints(tmp_path / "checkpoints", frequency=None)
    make(seed=None, seeds=(7, 2)).train(
        "Pendulum-v1", 4, n_episodes=1, callbacks=[saving], run_dir=tmp_path, progress_bar=False, summary=False
    )
    flip(tmp_path / "checkpoints" / "seed7" / "final" / "train_state.safetensors")
    code, lines, _ = said(capsys, tmp_path)
    assert code == 1
    assert lines[0].startswith("seed2/final      whole ")
    assert lines[1].startswith("seed7/final      BROKEN ")
    assert lines[-1] == "resume           from seed2/final"


def test_files_beside_the_checkpoints(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "config.yaml").write_text("a: &x [1]\nb: *x\n")
    raw = (run / "metrics.db").read_bytes()
    (run / "metrics.db").write_bytes(raw[:5_000] + bytes(3_000) + raw[8_000:])
    code, lines, _ = said(capsys, run)
    assert code == 1
    assert any(line.startswith("config.yaml      BROKEN ") and "an anchor or an alias" in line for line in lines)
    assert any(line.startswith("metrics.db       BROKEN ") for line in lines)


def test_what_a_resume_asks_for_is_listed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "config.yaml").write_text("callbacks: {x: {_target_: my.Mine}}\nenv: {id: 'm:E-v0'}\n")
    code, lines, _ = said(capsys, run)
    assert code == 0
    told = "whole; resume= asks for callbacks.x._target_, env.id to be named again"
    assert f"config.yaml      {told}" in lines


def test_a_class_that_is_not_registered_is_checked_byte_by_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @velora.register
    class Mine(LiquidDDPG):
        key = "mine"

    try:
        path = Mine(3, 6, 1, device="cpu").save(tmp_path / "ep1")
        assert velora.verify(path).found[0].note is None
    finally:
        agents._entries.pop("mine")
    code, lines, _ = said(capsys, path)
    assert code == 0
    assert "of an agent 'mine', which isn't registered here: only its bytes were checked" in lines[0]
    flip(path / "model_state.safetensors")
    assert said(capsys, path)[0] == 1


def test_slips_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = f"velora verify: {tmp_path}: no checkpoint here; expected one, or a run that has some\n"
    assert said(capsys, tmp_path) == (2, [], told)
    code, _, told = said(capsys, "a", "b")
    assert code == 2
    assert "expected one run or checkpoint, got a b; see velora verify --help" in told
    code, _, told = said(capsys, "--quick")
    assert code == 2
    assert said(capsys)[0] == 0
    code, lines, _ = said(capsys, "--help")
    assert code == 0
    assert lines[0].startswith("Read a checkpoint, or everything of a run")
    with pytest.raises(CheckpointError, match="no checkpoint here"):
        velora.verify(tmp_path / "nowhere")
