"""The journal: a process may be killed in the middle of a line, or with the lock in its hands."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from velora.cli.command.arguments import Arguments
from velora.cli.tune import outcome, request, storage, trials
from velora.core.errors import RunDirectoryError, VeloraError

optuna: Any = pytest.importorskip("optuna", reason="pip install -e '.[tune]'")
WORDS = ("env=pendulum", "agent.n_neurons=int(interval(4,9))")


def asked(*words: str) -> request.Request:
    return request.completed(request.understand(Arguments.parse([*WORDS, *words]))[0])


def distributions(study: Any) -> dict[str, Any]:
    return {name: one.distribution() for name, one in storage.request_of(study).space.items()}


def test_a_study_is_what_was_asked_for(tmp_path: Path) -> None:
    wanted = asked("sampler=random", "minimise=[parameters]", "statistic=iqm", "train.seeds=3")
    storage.create(tmp_path / "study", wanted, n_trials=7)
    study = storage.load(tmp_path / "study")
    assert storage.request_of(study) == wanted
    assert storage.n_trials(study) == 7
    assert [one.name for one in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.study_name == "study"
    assert storage.holds_study(tmp_path / "study")
    assert not storage.holds_study(tmp_path)


def test_it_opens_in_optunas_own_api_with_optunas_own_lock(tmp_path: Path) -> None:
    study = storage.create(tmp_path, asked(), n_trials=1)
    study.tell(study.ask(distributions(study)), 1.5)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / storage.JOURNAL))
    theirs = optuna.load_study(study_name=tmp_path.name, storage=optuna.storages.JournalStorage(backend))
    assert theirs.best_value == 1.5
    assert theirs.user_attrs["space"] == {"agent.n_neurons": "int(interval(4,9))"}
    theirs.set_user_attr("note", "by somebody else")
    assert storage.load(tmp_path).user_attrs["note"] == "by somebody else"


def test_half_a_line_is_taken_away_before_the_next_is_written(tmp_path: Path) -> None:
    """Without that, Optuna glues the next line to it, and no process ever reads the file again."""
    study = storage.create(tmp_path, asked(), n_trials=3)
    study.tell(study.ask(distributions(study)), 1.0)
    journal = tmp_path / storage.JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"worker_id":"')
    study.tell(study.ask(distributions(study)), 2.0)  # a process that had opened it before
    assert b'"worker_id":"{' not in journal.read_bytes()
    journal.write_bytes(journal.read_bytes() + b"{")
    again = storage.load(tmp_path)  # and one that opens it now
    again.tell(again.ask(distributions(again)), 3.0)
    assert [trial.value for trial in storage.load(tmp_path).get_trials()] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(("before", "after"), [(b"", b""), (b"ab", b""), (b"a\nb", b"a\n"), (b"a\nb\n", b"a\nb\n")])
def test_mending_keeps_whole_lines(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(before)
    storage.mend(path)
    assert path.read_bytes() == after
    path.write_bytes(before + b"\n" + b"x" * 10_000)
    storage.mend(path)
    assert path.read_bytes() == before + b"\n"


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    study = storage.create(tmp_path, asked(), n_trials=1)
    program = (
        "import sys, time; from pathlib import Path; from velora.cli.tune.storage import JournalLock; "
        "JournalLock(Path(sys.argv[1])).acquire(); print('locked', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", program, str(tmp_path / storage.JOURNAL)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        holder.send_signal(signal.SIGKILL)
    began = time.monotonic()
    study.set_user_attr("note", 1)
    assert time.monotonic() - began < 5


def test_what_is_no_study_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="does not exist; expected the directory that velora tune printed"):
        storage.load(tmp_path / "nowhere")
    with pytest.raises(RunDirectoryError, match=r"holds no journal\.log"):
        storage.load(tmp_path)
    (tmp_path / storage.JOURNAL).write_text("nonsense\nmore\n")
    with pytest.raises(RunDirectoryError, match="holds no study"):
        storage.load(tmp_path)


def test_a_study_of_somebody_else_is_one_line(tmp_path: Path) -> None:
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / storage.JOURNAL))
    optuna.create_study(storage=optuna.storages.JournalStorage(backend), study_name="theirs")
    with pytest.raises(RunDirectoryError, match="theirs: its attributes aren't those of a study of velora tune"):
        storage.request_of(storage.load(tmp_path))


def test_a_missing_optuna_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(VeloraError, match=r"optuna isn't installed; pip install .*\[tune\]"):
        storage.load_optuna()


LINES = (
    "[" * 100_000,
    "1" * 9_000,
    "[]",
    '{"op_code": 0}',
    '{"op_code": 99, "worker_id": "a"}',
    '{"op_code": "0", "worker_id": 1}',
)


@pytest.mark.parametrize("line", LINES)
def test_lines_that_optuna_has_not_written_are_one_line(tmp_path: Path, line: str) -> None:
    storage.create(tmp_path, asked(), n_trials=1)
    with (tmp_path / storage.JOURNAL).open("a") as journal:
        journal.write(f"{line}\n")
    with pytest.raises(RunDirectoryError, match="holds no study") as error:
        storage.load(tmp_path)
    assert "\n" not in str(error.value)
    with pytest.raises(RunDirectoryError, match="holds no study"):
        storage.holds_study(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("words", ["hydra.searchpath=[pkg://evil]"]),
        ("words", ["~agent"]),
        ("words", 3),
        ("space", {"hydra.launcher._target_": "a,b"}),
        ("space", {"a": "1,2", "b": "interval(1,nan)"}),
        ("options", {"sampler": "tpe"}),
        ("trials", "many"),
    ],
)
def test_attributes_that_no_study_has_are_refused(tmp_path: Path, name: str, value: Any) -> None:
    study = storage.create(tmp_path, asked(), n_trials=1)
    study.set_user_attr(name, value)
    with pytest.raises(RunDirectoryError, match="aren't those of a study of velora tune"):
        storage.request_of(study)


@pytest.mark.parametrize("attributes", [{"returns": 5}, {"returns": {"0": "high"}}, {"parameters": "few"}, {}])
def test_a_trial_that_velora_has_not_written_is_one_line(tmp_path: Path, attributes: dict[str, Any]) -> None:
    study = storage.create(tmp_path, asked(), n_trials=1)
    known = {"agent.n_neurons": 5} if attributes else {}
    kept = {name: one for name, one in distributions(study).items() if name in known}
    made = optuna.trial.create_trial(params=known, distributions=kept, value=1.0, user_attrs=attributes)
    study.add_trial(made)
    with pytest.raises(RunDirectoryError, match="trial 0 isn't one that velora tune has written"):
        outcome.look(tmp_path, study)


def test_a_link_that_leads_out_of_a_study_is_refused(tmp_path: Path) -> None:
    storage.create(tmp_path / "study", asked(), n_trials=1)
    (tmp_path / "study" / "study.html").symlink_to(tmp_path / "precious")
    with pytest.raises(RunDirectoryError, match=r"study\.html is a link that leads out of"):
        storage.load(tmp_path / "study")


def test_a_trial_whose_worker_died_while_it_drew_is_drawn_to_its_end(tmp_path: Path) -> None:
    request = asked("agent.actor_lr=interval(1e-4,1e-2)", "sampler=random")
    study = storage.create(tmp_path, request, n_trials=1)
    begun = study.ask()
    study.sampler = trials.make_sampler(request.options, 0)
    first = begun.suggest_int("agent.n_neurons", 4, 9)
    (seen,) = outcome.look(tmp_path, study).trials
    assert (seen.state, dict(seen.params)) == ("left", {"agent.n_neurons": first})
    with trials.claimed(tmp_path, storage.load(tmp_path), request) as own:
        assert own is not None
        assert own.number == 0
        assert own.trial.params["agent.n_neurons"] == first
        assert own.trial.params.keys() == request.space.keys()
