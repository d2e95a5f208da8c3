"""Recordings: every tick a row, in each format, also after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from velora.core.errors import SettingError
from velora.drive import Reading, Recorder, read_recording
from velora.drive.recorder import BEGINS, LATE, MISSING, TRUNCATED, check_format


def recorded(out: Path) -> Recorder:
    recorder = Recorder(out, n_observations=2, n_actions=1)
    obs, action = np.array([1.5, -2.25], np.float32), np.array([0.5], np.float32)
    recorder.add(0, 10, 11, 12, 1.0, 0, Reading(obs, 9, begins=True), action)
    recorder.add(1, 20, 21, 22, 0.0, MISSING, None, None)
    recorder.add(3, 40, 45, 46, 2.5, LATE, Reading(2 * obs, 39, reward=-0.5, truncated=True), -action)
    return recorder


def test_rows_are_what_was_added(tmp_path: Path) -> None:
    out = recorded(tmp_path / "drive.npy").close()
    rows = read_recording(out)
    assert rows["tick"].tolist() == [0, 1, 3]
    assert [rows[name].tolist() for name in ("due_ns", "began_ns", "acted_ns", "sensed_ns")] == [
        [10, 20, 40], [11, 21, 45], [12, 22, 46], [9, 0, 39],
    ]  # fmt: skip
    assert rows["flags"].tolist() == [BEGINS, MISSING, LATE | TRUNCATED]
    assert (rows["dt"].tolist(), rows["reward"].tolist()) == ([1.0, 0.0, 2.5], [0.0, 0.0, -0.5])
    assert rows["obs"].tolist() == [[1.5, -2.25], [0.0, 0.0], [3.0, -4.5]]
    assert rows["action"].tolist() == [[0.5], [0.0], [-0.5]]
    assert [path.name for path in tmp_path.iterdir()] == ["drive.npy"]


def test_csv_has_a_column_for_each_number(tmp_path: Path) -> None:
    lines = recorded(tmp_path / "drive.csv").close().read_text().splitlines()
    assert lines[0] == "tick,due_ns,began_ns,acted_ns,sensed_ns,dt,reward,flags,obs_0,obs_1,action_0"
    assert lines[3] == "3,40,45,46,39,2.5,-0.5,34,3.0,-4.5,-0.5"
    assert len(lines) == 4


def test_parquet_is_read_by_others(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pip install -e '.[parquet]'")
    pandas = pytest.importorskip("pandas", reason="pip install -e '.[pandas]'")
    table = pandas.read_parquet(recorded(tmp_path / "drive.parquet").close())
    assert table["tick"].tolist() == [0, 1, 3]
    assert table["obs_1"].tolist() == [-2.25, 0.0, -4.5]
    assert str(table["obs_1"].dtype) == "float32"


def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    """Another process adds rows until it is killed, and says after each that it was added."""
    out = tmp_path / "drive.csv"
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom velora.drive.recorder import Recorder\n"
        "from velora.drive.plant import Reading\n"
        f"r = Recorder(Path({str(out)!r}), n_observations=3, n_actions=2)\n"
        "for k in range(10**9):\n"
        "    r.add(k, k, k, k, 1.0, 0, Reading(np.full(3, k, np.float32), k), np.full(2, k, np.float32))\n"
        "    sys.stdout.write(f'{k}\\n'); sys.stdout.flush()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(100)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read().splitlines(keepends=True)
    complete = [int(line) for line in said if line.endswith("\n")]
    rows = read_recording(Path(f"{out}.journal"))
    assert len(rows) >= len(complete) >= 100
    assert (rows["tick"] == np.arange(len(rows))).all()
    assert (rows["action"] == np.arange(len(rows))[:, None]).all()
    with Path(f"{out}.journal").open("ab") as file:
        file.write(b"half a row")
    assert len(read_recording(f"{out}.journal")) == len(rows)


def test_what_can_not_be_written_or_read(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"record: expected a file that ends with one of \.npy, \.csv, \.parquet"):
        Recorder(tmp_path / "drive.txt", n_observations=1, n_actions=1)
    with pytest.raises(SettingError, match="record: there is no directory"):
        Recorder(tmp_path / "no" / "drive.csv", n_observations=1, n_actions=1)
    (tmp_path / "there.csv").mkdir()
    with pytest.raises(SettingError, match=r"record: .*there\.csv is a directory; choose the name of a file"):
        Recorder(tmp_path / "there.csv", n_observations=1, n_actions=1)
    (tmp_path / "there.csv").rmdir()
    (tmp_path / "other.journal").write_bytes(b"something else that is long enough for a header")
    with pytest.raises(SettingError, match="expected a journal of velora drive"):
        read_recording(tmp_path / "other.journal")
    with pytest.raises(SettingError, match="there is no such recording"):
        read_recording(tmp_path / "none.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["other.journal"]


def test_the_journal_of_a_drive_that_was_killed_is_not_written_over(tmp_path: Path) -> None:
    out = tmp_path / "drive.npy"
    first = recorded(out)
    for opens in (lambda: Recorder(out, n_observations=2, n_actions=1), lambda: check_format(out)):
        with pytest.raises(SettingError, match=r"drive\.npy\.journal is there, of a drive that was killed"):
            opens()
    assert read_recording(first.journal)["tick"].tolist() == [0, 1, 3]
    first.close()
    recorded(out).close()


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_what_is_no_recording_is_told_in_a_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "drive.npy").write_bytes(content)
    with pytest.raises(SettingError, match=r"drive\.npy: expected a recording of velora drive"):
        read_recording(tmp_path / "drive.npy")
    np.save(tmp_path / "other.npy", np.zeros(3))
    with pytest.raises(SettingError, match=r"other\.npy: expected a recording of velora drive, got an array of float"):
        read_recording(tmp_path / "other.npy")
