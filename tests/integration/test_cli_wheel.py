"""The wheel carries the configuration files, so the command works without a checkout; the sdist can be tested."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _build(kind: str, tmp_path: Path, **environment: str) -> None:
    """Build in a copy, since setuptools leaves things where it builds."""
    left = shutil.ignore_patterns(".git", ".venv*", "build", "outputs", "*_cache", "*.so", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, tmp_path / "source", ignore=left)
    command = f"from setuptools import build_meta; build_meta.build_{kind}({str(tmp_path / 'dist')!r})"
    subprocess.run(
        [sys.executable, "-c", command],
        cwd=tmp_path / "source",
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        timeout=240,
    )


@pytest.mark.slow
def test_a_wheel_works_anywhere(tmp_path: Path) -> None:
    """Even where no C compiler works: the command then computes with PyTorch."""
    _build("wheel", tmp_path, CC="there-is-no-such-compiler")
    (wheel,) = (tmp_path / "dist").glob("velora_rl-*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    ours = {path.relative_to(ROOT / "conf") for path in (ROOT / "conf").rglob("*.yaml")}
    assert {path.relative_to(site / "velora/conf") for path in (site / "velora/conf").rglob("*.yaml")} == ours
    zoo = ROOT / "src" / "velora" / "zoo"
    kept = {path.relative_to(zoo) for path in zoo.rglob("*") if path.is_file() and path.suffix != ".md"}
    assert {
        path.relative_to(site / "velora/zoo") for path in (site / "velora/zoo").rglob("*") if path.is_file()
    } == kept
    assert (site / "velora" / "py.typed").exists()
    assert [path.name for path in (site / "hydra_plugins").iterdir()] == ["velora_processes.py"]
    assert not list(site.rglob("__pycache__"))

    command = "import sys; from velora.cli.main import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    for words, expected in (
        (["train", "env=hopper", "--cfg", "job"], "id: Hopper-v5"),
        (["train", "--info", "searchpath"], str(site / "velora" / "conf")),
        (["train", "sweep=processes", "--cfg", "hydra"], "hydra_plugins.velora_processes.ProcessesLauncher"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", command, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert expected in done.stdout


def test_a_source_distribution_holds_what_its_tests_and_documentation_need(tmp_path: Path) -> None:
    _build("sdist", tmp_path)
    (sdist,) = (tmp_path / "dist").glob("velora_rl-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = [
        "mkdocs.yml",
        "CONTRIBUTING.md",
        "CITATION.cff",
        ".ci/run",
        ".github/workflows/test.yml",
        "README.md",
        "CHANGELOG.md",
        "Makefile",
        "constraints.txt",
        "LICENSE",
    ]
    needed += ["docs/index.md", "conf/train.yaml", "scripts/train.py", "benchmarks/learning/tasks.py"]
    needed += ["setup.py", "src/velora/kernels/native/kernels.c", "src/velora/kernels/native/native.h"]
    assert names >= {*needed, "src/velora/py.typed", "tests/integration/test_cli_wheel.py"}
