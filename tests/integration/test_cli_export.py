"""``velora export``: its words, what it prints, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from velora.cli.main import main
from velora.export import TARGETS, Manifest, Options, Policy, Target
from velora.models import LiquidDDPG, LiquidPPO

pytest.importorskip("onnx", reason="pip install 'velora-rl[onnx]'")

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return LiquidDDPG(3, 8, 1, seed=0, device="cpu").save(Path("run") / "checkpoints" / "ep1")


def write_files(policy: Policy, out: Path, options: Options) -> None:
    out.mkdir()
    (out / "policy.c").write_text("int x;\n")


def test_it_writes_and_says_what(checkpoint: Path, capsys: Capture) -> None:
    assert main(["export", str(checkpoint), "to=onnx"]) == 0
    size = Path("policy.onnx").stat().st_size
    assert capsys.readouterr().out.splitlines() == [
        f"checkpoint  {checkpoint}, LiquidDDPG, cfc",
        f"wrote       policy.onnx, {size:,} bytes",
        "takes       observation (3), in the environment's units",
        "            state (9), next_state of the step before, zeros when an episode begins",
        "            dt (1), control steps since the step before, 1e-6 to 1e+6",
        "gives       action (1), in the environment's units, -1 to 1",
        "            next_state (9), state of the next step",
        'next        in Python: onnxruntime.InferenceSession("policy.onnx")',
    ]


def test_a_run_is_as_good_as_its_checkpoint(checkpoint: Path, capsys: Capture) -> None:
    assert main(["export", "checkpoint=run", "to=onnx", "out=deep/down/"]) == 0
    assert Path("deep/down/policy.onnx").is_file()


def test_a_directory_lists_its_files(checkpoint: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Target("files", "", f"{__name__}:write_files", "policy/", after="velora prove {out}")
    monkeypatch.setitem(TARGETS, "files", row)
    assert main(["export", "run", "to=files", "out=firmware"]) == 0
    told = capsys.readouterr().out
    assert "            policy.c, 7\n            policy.json, " in told
    assert told.endswith("next        velora prove firmware\n")
    assert Manifest.read(Path("firmware")).checkpoint == "../run/checkpoints/ep1"


def test_each_of_several_seeds_has_its_place(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(TARGETS, "files", Target("files", "", f"{__name__}:write_files", "policy/"))
    for seed in (0, 7):
        LiquidDDPG(3, 8, 1, seed=seed, device="cpu").save(Path(f"run/checkpoints/seed{seed}/ep1"))
    assert main(["export", "run", "to=onnx"]) == 0
    assert main(["export", "run", "to=files", "out=firmware"]) == 0
    assert sorted(path.name for path in Path().glob("*.onnx")) == ["policy-seed0.onnx", "policy-seed7.onnx"]
    assert sorted(path.name for path in Path("firmware").iterdir()) == ["seed0", "seed7"]


def test_a_discrete_action_is_named(tmp_path: Path, capsys: Capture) -> None:
    agent = LiquidPPO(4, 8, 3, seed=0, discrete=True, device="cpu")
    assert main(["export", str(agent.save(tmp_path / "ep1")), "to=onnx", f"out={tmp_path}"]) == 0
    assert "gives       action (1), number of the action, 0 to 2\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "say what to write: to=onnx or to=torch or to=c; see velora export --help"),
        (["to=onnx"], "export: expected one checkpoint or run, got none; see velora export --help"),
        (["run", "again", "to=onnx"], "export: expected one checkpoint or run, got run again; "),
        (["run", "to=onx"], "to=onx: no such target; did you mean onnx?"),
        (["run", "to=onnx", "dtyp=int8"], "dtyp=int8: no such setting; did you mean dtype?"),
        (["run", "--to", "onnx"], "--to: no such option; settings are written name=value; "),
        (["run", "to=onnx", "overwrite=yes"], "overwrite: expected true or false, got 'yes'"),
        (["run", "to=onnx", "agent=no_such_module.Agent"], "agent"),
        (["rum", "to=onnx"], "rum: no checkpoint here; "),
        (["x" * 300, "to=onnx"], f"{'x' * 300}: can't be read (File name too long); expected a checkpoint or a run"),
        (
            ["run", "to=onnx", "out=run/checkpoints/ep1/metadata.json"],
            "run/checkpoints/ep1: a checkpoint, which holds nothing else; choose another out=",
        ),
    ],
)
def test_a_slip_is_one_line_and_writes_nothing(
    checkpoint: Path, words: list[str], message: str, capsys: Capture
) -> None:
    assert main(["export", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"velora export: {message}")
    assert said.err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["run"]


def test_the_help_names_every_target(capsys: Capture) -> None:
    assert main(["export", "--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"\n  {name} " in told for name in TARGETS)
