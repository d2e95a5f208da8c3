"""``velora doctor``: on this machine, and on machines that lack something."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from velora import kernels
from velora.cli.doctor import advice, doctor_view, machine, self_check
from velora.cli.doctor.advice import Advice, advise
from velora.cli.doctor.machine import Directory, Gpu, Kernel, Machine, SelfCheck
from velora.cli.main import main
from velora.kernels.native import binding

NATIVE = Kernel("native", True, "avx2", None, "/usr/bin/cc", True)
HERE = Directory("/home/ada", 1.25, None)
GOOD = Machine(
    kernel=NATIVE,
    self_check=SelfCheck({"cfc": 1e-7, "dense": 2e-7}, 1e-5),
    cores=8,
    cores_in_all=8,
    load=0.5,
    memory_bytes=2**30,
    gpus=(),
    directory=HERE,
    versions={"python": "3.11.7", "velora": "0.3.0"},
)


def with_(**changes: Any) -> Machine:
    return dataclasses.replace(GOOD, **changes)


def none_of(name: str) -> str | None:
    return None


def commands(found: Machine, which: Callable[[str], str | None] = none_of) -> list[str]:
    return [command for each in advise(found, which) for command in each.commands]


def said(found: Machine, capsys: pytest.CaptureFixture[str]) -> str:
    doctor_view.show(found, list(advise(found, none_of)))
    return capsys.readouterr().out


@pytest.mark.skipif(kernels.extension is None, reason="the native kernel isn't built here")
def test_this_machine_computes_rightly(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    assert "native kernel and PyTorch agree: largest difference" in out
    names = [line.split()[0] for line in out.splitlines()[2:10]]
    assert names == ["kernel", "self-check", "cores", "compiler", "GPU", "memory", "here", "versions"]


def test_json_says_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["directory"]["path"] == str(tmp_path)
    assert found["directory"]["fsync_ms"] >= 0.0
    assert found["kernel"]["is_built"] == (kernels.extension is not None)
    assert set(found["versions"]) == {"python", "velora", *machine.PACKAGES}
    assert None not in found["versions"].values()
    assert set(found) == {f.name for f in dataclasses.fields(Machine)} | {"threads", "advice"}
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_that_computes_something_else_is_exit_code_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binding, "extension", kernels.extension or sys)
    monkeypatch.setattr(kernels, "report", lambda: kernels.KernelReport(True, "avx2", None, None))
    monkeypatch.setattr(self_check, "differences", lambda: {"cfc": 1e-7, "ltc": 0.25})
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "native kernel and PyTorch DON'T agree: largest difference 2.5e-01 (cfc 1e-07, ltc 2e-01)" in out
    assert "    velora train device.kernel=torch\n" in out
    assert main(["doctor", "--json"]) == 1
    check = json.loads(capsys.readouterr().out)["self_check"]
    assert (check["agrees"], check["largest"]) == (False, 0.25)


def test_a_machine_without_a_kernel_is_told_how_to_get_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binding, "extension", None)
    monkeypatch.setattr(binding, "problem", "No module named\n'velora.kernels._native'")
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "the native kernel isn't there (No module named 'velora.kernels._native')" in out
    assert "nothing to check: there is no native kernel" in out
    assert "Training takes several times longer without the native kernel." in out


@pytest.mark.skipif(sys.platform != "linux", reason="the package managers of Linux")
@pytest.mark.parametrize(
    ("compiler", "has_headers", "text", "first"),
    [
        (None, True, "Install a C compiler, then install", "sudo apt-get install build-essential python3-dev"),
        (
            "/usr/bin/cc",
            False,
            "Install Python's header files, then",
            "sudo apt-get install build-essential python3-dev",
        ),
        (None, False, "Install a C compiler and Python's header files, then", "sudo apt-get install"),
        ("/usr/bin/cc", True, "There is a C compiler now: install Velora again.", ""),
    ],
)
def test_what_the_kernel_needs_is_named(compiler: str | None, has_headers: bool, text: str, first: str) -> None:
    kernel = Kernel("torch", False, "none", "missing", compiler, has_headers)
    found = with_(kernel=kernel, self_check=None)

    def which(name: str) -> str | None:
        return "/usr/bin/apt-get" if name == "apt-get" else None

    wanted = next(iter(advise(found, which)))
    assert text in wanted.text
    assert wanted.commands[-1] == advice.reinstall(which)
    assert wanted.commands[0].startswith(first)
    assert len(wanted.commands) == (2 if first else 1)


def test_where_nothing_is_wrong_only_the_cores_are_left() -> None:
    assert commands(GOOD) == ["velora train train.seeds=10"]
    assert list(advise(with_(cores=1, cores_in_all=1), none_of)) == []
    (_, fewer) = advise(with_(cores=2), none_of)
    assert fewer == Advice(
        "This process may use 2 of the machine's 8 cores. A container, a scheduler or taskset decides that; "
        "ask it for more.",
        (),
    )


def test_a_gpu_is_compared_and_not_praised(capsys: pytest.CaptureFixture[str]) -> None:
    found = with_(kernel=dataclasses.replace(NATIVE, in_use="torch"), gpus=(Gpu("A card", 8 * 2**30),))
    assert commands(found)[:2] == [
        "velora train device=cuda train.n_steps=5000",
        "velora train device=cpu train.n_steps=5000",
    ]
    out = said(found, capsys)
    assert "PyTorch, on the GPU; with device=cpu: native, avx2" in out
    assert "A card (8.0 GiB)" in out
    assert "cores        8\n" in out


def test_a_directory_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = machine._try_to_write(tmp_path / "missing")
    assert missing.fsync_ms is None
    assert missing.problem
    found = with_(directory=missing)
    assert "velora train hydra.run.dir=<directory>" in commands(found)
    assert f"files in {tmp_path / 'missing'} can't be forced to the disk: No such file" in said(found, capsys)


def test_cores_threads_and_memory_are_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(with_(cores=4, load=20.0), capsys)
    assert "4 of the machine's 8, busy with other work (load 20.0); 2 threads for one seed, up to 4 for several" in out
    assert "1.0 GiB free: replay buffers of 74 seeds" in out
    out = said(with_(cores=1, cores_in_all=1, memory_bytes=None, load=None), capsys)
    assert "cores        1; 1 thread for one seed\n" in out
    assert "memory       unknown\n" in out
    assert out.endswith("There is nothing to make better.\n")


def test_on_a_terminal_commands_stay_on_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    long = "velora train " + "x" * 60
    doctor_view.show(GOOD, [Advice("Do this.", (long,))])
    assert f"    {long}" in re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, "-m pip install --force-reinstall --no-deps --no-binary velora-rl velora-rl"),
        ("no json", "--no-binary velora-rl velora-rl"),
        ('{"url": "https://example.org/velora.whl", "archive_info": {}}', "--no-binary velora-rl velora-rl"),
        ('{"url": "file:///my%20code/velora", "dir_info": {}}', "--no-deps --force-reinstall '/my code/velora'"),
        ('{"url": "file:///velora", "dir_info": {"editable": true}}', "-m pip install --no-deps --editable /velora"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths are written otherwise")
def test_velora_is_installed_again_from_where_it_came_from(
    origin: str | None, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return origin

    monkeypatch.setattr(advice.importlib.metadata, "distribution", lambda name: Installed())  # type: ignore[attr-defined]
    assert advice.reinstall(none_of).endswith(command)
    assert advice.reinstall(none_of).startswith(sys.executable)
    assert advice.reinstall(lambda name: str(Path(sys.executable).with_name("python"))).startswith("python -m pip")


def test_another_package_in_the_same_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``pip install velora`` leaves it: the registry has another code base under the import name."""
    installed = tmp_path / "velora-0.2.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.3\nName: velora\nVersion: 0.2.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    for record, expected in (("velora-0.2.0.dist-info/METADATA,,\n", False), ("velora/__init__.py,,\n", True)):
        (installed / "RECORD").write_text(record)
        assert advice.shares_its_folder() is expected
        assert (f"{sys.executable} -m pip uninstall velora" in commands(GOOD)) is expected


def test_help_teaches_and_a_slip_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--help"]) == 0
    out = capsys.readouterr().out
    for name in ("kernel", "self-check", "cores", "compiler", "GPU", "memory", "here", "versions", "exit code"):
        assert name in out
    assert main(["doctor", "--jsn"]) == 2
    assert capsys.readouterr().err == "velora doctor: --jsn: no such option; did you mean --json?\n"
    assert main(["doctor", "now"]) == 2
