"""``velora prove``: an exported policy on emulated chips, and what is said of input that isn't one."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Command
from velora.core import small_json
from velora.export.exporting import export
from velora.export.manifest import FILE
from velora.proof.targets import TARGETS, find_targets, installing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="machines are spoken to through POSIX pipes")
ZOO = Path(__file__).parents[2] / "src/velora/zoo"
CHECKPOINTS = {path.parent.name: path for path in ZOO.glob("*/ep*") if path.is_dir()}


@pytest.fixture(scope="module")
def pendulum(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export an agent of the zoo, and leave the directory as it is."""
    return export(CHECKPOINTS["pendulum"], "c", tmp_path_factory.mktemp("exported") / "policy").out


def need(*names: str) -> None:
    missing = [target for target in find_targets(names) if target.missing]
    if missing:
        pytest.skip(f"needs {missing[0].missing[0].program}: {installing(missing)}")


def rows(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path).read_text())
    return {row["name"]: row for row in found["targets"]} | {"all": found}


def test_a_policy_balances_the_pole_on_an_emulated_chip(command: Command, pendulum: Path) -> None:
    need("host", "cortex-m4")
    words = (str(pendulum), "target=host,cortex-m4", "episodes=1", "steps=100", "json=proof.json")
    code, out, _ = command("prove", *words)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if line.startswith(("host", "cortex"))] == [
        "host",
        "cortex-m4",
    ]
    found = rows("proof.json")
    chip, own = found["cortex-m4"], found["all"]["returns"]
    assert chip["same_bits"] is True
    assert chip["selftest"] == 0
    assert chip["against_float64"]["action"] < 5e-5
    assert chip["returns"] == found["host"]["returns"] == pytest.approx(own, abs=0.01)
    assert 4_000 < chip["flash_bytes"] < 8_000
    assert 4_000 < chip["per_step"] <= chip["most_per_step"] < 12_000
    assert 50 < chip["stack_bytes"] < 400


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("name", ["cartpole", "pendulum-irregular-time", "inverted-pendulum-irregular-time"])
def test_every_target_computes_the_same_bits(command: Command, name: str, dtype: str) -> None:
    need("all")
    options: dict[str, Any] = {"judge": 0} if dtype == "int8" else {}
    out = export(CHECKPOINTS[name], "c", "policy", dtype=dtype, **options).out
    assert command("prove", str(out), "episodes=1", "slow_episodes=0", "steps=200", "json=proof.json").code == 0
    found = rows("proof.json")
    assert [row["name"] for row in found["all"]["targets"]] == list(TARGETS)
    assert all(row["same_bits"] for row in found["all"]["targets"][1:])
    fast = [row for row in found["all"]["targets"] if not TARGETS[row["name"]].is_slow]
    assert {"cortex-m4", "wasm32"} <= {row["name"] for row in fast}
    assert all(row["returns"] == found["host"]["returns"] for row in fast)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "policy: needs a value; give a directory that velora export to=c wrote"),
        (["policy", "target=cortex-m5"], "target=cortex-m5: no such target; did you mean cortex-m"),
        (["nowhere"], "nowhere/policy.json: can't be read (No such file or directory); expected a directory that"),
        (["policy", "steps=0"], "steps: expected at least 1, got 0"),
        (["policy", "json=policy"], "policy can't be written (Is a directory)"),
        (["policy", "timeout_s=0"], "timeout_s: expected more than 0, got 0"),
        (["policy", "checkpoint=gone"], "its checkpoint gone is gone; say where it is now with checkpoint="),
    ],
)
def test_bad_input_is_one_line(command: Command, pendulum: Path, words: list[str], said: str) -> None:
    need("host")
    shutil.copytree(pendulum, "policy")
    code, _, err = command("prove", *(words or ["target=host"]))
    assert code == 2
    assert said in err.splitlines()[-1]


def test_the_table_outlives_a_disk_that_is_full(
    command: Command, pendulum: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("host")

    def refuse(path: Path, document: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(small_json, "write", refuse)
    code, out, err = command("prove", str(pendulum), "target=host", "steps=1", "episodes=0", "json=x.json")
    assert code == 2
    assert "x.json can't be written (No space left on device)" in err.splitlines()[-1]
    assert "\nhost " in out


def test_files_that_were_changed_are_refused(command: Command, pendulum: Path) -> None:
    shutil.copytree(pendulum, "policy")
    Path("policy/policy.c").write_text(Path("policy/policy.c").read_text() + "\n")
    code, _, err = command("prove", "policy", "target=host")
    assert code == 2
    assert err.endswith("policy/policy.c: not as velora export wrote it; export the policy again\n")
    assert err.count("\n") == 1


def test_another_checkpoint_is_refused(command: Command, pendulum: Path) -> None:
    code, _, err = command("prove", str(pendulum), "target=host", f"checkpoint={CHECKPOINTS['mountain-car']}")
    assert code == 2
    assert "was exported from a checkpoint with the digest" in err
    assert len(err.splitlines()) == 1


def test_a_missing_compiler_is_named_with_the_command_that_installs_it(
    command: Command, pendulum: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    code, _, err = command("prove", str(pendulum), "target=cortex-m4")
    assert code == 2
    assert err == (
        "velora prove: target=cortex-m4: arm-none-eabi-gcc, qemu-system-arm is missing; "
        "apt-get install gcc-arm-none-eabi qemu-system-arm\n"
    )


def test_an_export_of_another_kind_is_refused(command: Command, pendulum: Path) -> None:
    shutil.copytree(pendulum, "policy")
    manifest = json.loads(Path("policy", FILE).read_text())
    Path("policy", FILE).write_text(json.dumps(manifest | {"target": "web"}))
    code, _, err = command("prove", "policy", "target=host")
    assert (code, err.count("\n")) == (2, 1)
    assert "holds a policy for web; prove compiles C: velora export to=c" in err
