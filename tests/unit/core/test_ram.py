"""How much memory there is: the machine's, the container's and the process's own limit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from velora.checkpoint import layout
from velora.core import ram

LIMITED = """
import resource
from velora.core import ram
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
print(ram.available_bytes())
"""


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put files in the place of what the kernel tells."""
    monkeypatch.setattr(ram, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(ram, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(ram, "_of_process", lambda: None)
    write(tmp_path / "proc" / "meminfo", "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable: 8000 kB\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells")
class TestOnLinux:
    def test_this_machine_has_some(self) -> None:
        available = ram.available_bytes()
        assert available is not None
        assert available > 2**20

    def test_the_process_has_a_limit_of_its_own(self) -> None:
        done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=60, check=True)
        assert 0 < int(done.stdout) < 2 << 30

    def test_without_a_container_the_machine_counts(self, system: Path) -> None:
        assert ram.available_bytes() == 8000 * 1024

    def test_a_container_and_those_around_it_count(self, system: Path) -> None:
        write(system / "proc" / "self" / "cgroup", "0::/outer/inner\n")
        write(system / "groups" / "outer" / "inner" / "memory.max", "max\n")
        write(system / "groups" / "outer" / "inner" / "memory.current", "1000\n")
        assert ram.available_bytes() == 8000 * 1024
        write(system / "groups" / "outer" / "memory.max", "5000000\n")
        write(system / "groups" / "outer" / "memory.current", "4000000\n")
        assert ram.available_bytes() == 1_000_000
        write(system / "groups" / "outer" / "memory.stat", "anon 5\ninactive_file 300000\n")
        assert ram.available_bytes() == 1_300_000

    def test_so_does_one_of_the_older_kind(self, system: Path) -> None:
        write(system / "proc" / "self" / "cgroup", "4:cpu,memory:/job\n1:name=systemd:/\n")
        write(system / "groups" / "memory" / "job" / "memory.limit_in_bytes", "3000\n")
        write(system / "groups" / "memory" / "job" / "memory.usage_in_bytes", "5000\n")
        assert ram.available_bytes() == 0


def test_seeds_are_listed_for_people() -> None:
    assert layout.listed(range(0, 100, 2), most=3) == "0, 2, 4 and 47 more"
    assert layout.listed([4, 5]) == "4, 5"
    assert layout.listed([0, 1, 2, 9, 7, 8, 9, 10]) == "0 to 2, 9, 7 to 10"


def test_directories_of_seeds_are_found_and_nothing_else(tmp_path: Path) -> None:
    for name in ("seed10", "seed2", "seed0", "seed01", "seed-1", "seedling", "ep3"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    (tmp_path / "checkpoints" / "seed7").write_text("no directory")
    home = layout.find_home(tmp_path)
    assert home == tmp_path / "checkpoints"
    assert layout.find_home(home) == home
    assert list(layout.seed_directories(home)) == [0, 2, 10]
    assert layout.seed_directories(home)[2] == layout.seed_directory(home, 2)
