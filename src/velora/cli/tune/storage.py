"""The file of a study: Optuna's journal, which survives a kill at any moment and any number of writers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock

from velora.cli.tune import request as requests
from velora.cli.tune.request import Request
from velora.core import disk
from velora.core.errors import RunDirectoryError, VeloraError
from velora.core.extras import how_to_install

if TYPE_CHECKING:
    import optuna

JOURNAL: Final = "journal.log"
_CLAIM: Final = ".claim.lock"
_TRIALS: Final = "trials"


def load_optuna() -> ModuleType:
    """Import Optuna, quiet about what goes well.

    Raises:
        VeloraError: if it isn't installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise VeloraError(f"optuna isn't installed; {how_to_install('tune')}") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


class JournalLock:
    """A lock that the system frees when its holder dies, and that leaves the journal whole.

    Optuna's own locks are files that a killed process leaves behind, for which the next one waits 30 seconds. And a
    process that is killed in the middle of a line leaves half of it: the next line would be glued to it, and the study
    could never be read again. So whoever gets the lock first takes away what follows the last whole line.
    """

    def __init__(self, journal: Path) -> None:
        """Lock a journal, whose lock has a name that differs from that of Optuna's: others may remove theirs."""
        self._journal = journal
        self._lock = FileLock(journal.with_name(f".{journal.name}.filelock"))

    def acquire(self) -> bool:
        """Wait for the lock, and mend the file."""
        self._lock.acquire()
        mend(self._journal)
        return True

    def release(self) -> None:
        """Let others write."""
        self._lock.release()


def mend(journal: Path) -> None:
    """Cut a file at the end of its last whole line; its lock must be held."""
    with journal.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        at = size
        while at > 0:
            start = max(0, at - 4096)
            file.seek(start)
            newline = file.read(at - start).rfind(b"\n")
            if newline >= 0:
                at = start + newline + 1
                break
            at = start
        if at < size:
            file.truncate(at)
            disk.sync(file.fileno())


@contextmanager
def claiming(home: Path) -> Iterator[None]:
    """Let one process at a time choose the next trial of a study."""
    with FileLock(home / _CLAIM):
        yield


def create(home: Path, request: Request, *, n_trials: int) -> optuna.Study:
    """Begin a study.

    Raises:
        RunDirectoryError: if its directory can't be written.
    """
    optuna = load_optuna()
    try:
        disk.make_directory(home)
        with claiming(home):
            storage = _storage(home)
            names = optuna.get_all_study_names(storage)  # of a command that was killed right here
            if not names:
                name, directions = home.absolute().name, request.options.directions
                optuna.create_study(study_name=name, storage=storage, directions=directions)
            study = _only_study(storage)
            attributes: Mapping[str, Any] = {_TRIALS: n_trials, **requests.saved(request)}
            for name, value in attributes.items():
                study.set_user_attr(name, value)
    except OSError as error:
        raise RunDirectoryError(f"{home} can't be written ({error.strerror}); choose another study=") from error
    return study


def holds_study(home: Path) -> bool:
    """Return whether there is a study in a directory that was begun entirely."""
    if not (home / JOURNAL).is_file():
        return False
    optuna = load_optuna()
    with _explained(home):
        storage = _storage(home)
        return bool(optuna.get_all_study_names(storage)) and "config_dir" in _only_study(storage).user_attrs


def load(home: Path) -> optuna.Study:
    """Open a study.

    Raises:
        RunDirectoryError: if there is none, or its file is damaged.
    """
    if not (home / JOURNAL).is_file():
        what = f"holds no {JOURNAL}" if home.is_dir() else "does not exist"
        raise RunDirectoryError(f"{home} {what}; expected the directory that velora tune printed as 'study'")
    load_optuna()
    with _explained(home):
        return _only_study(_storage(home))


@contextmanager
def _explained(home: Path) -> Iterator[None]:
    """Refuse links that lead out of a study, and say in one line what its journal can't be read for."""
    try:
        if out := disk.links_out(home, depth=2):
            raise RunDirectoryError(f"{out[0]} is a link that leads out of {home}; put there what it leads to instead")
        yield
    except VeloraError:
        raise
    except OSError as error:
        raise RunDirectoryError(f"{home / JOURNAL} can't be read ({error.strerror})") from error
    except Exception as error:  # whatever Optuna raises at lines that it hasn't written
        raise RunDirectoryError(f"{home / JOURNAL} holds no study: {_named(error)}") from error


def request_of(study: optuna.Study) -> Request:
    """Read what a study was asked for.

    Raises:
        RunDirectoryError: if it is no study of Velora's.
    """
    try:
        n_trials(study)
        return requests.restored(study.user_attrs)
    except Exception as error:
        raise RunDirectoryError(
            f"{study.study_name}: its attributes aren't those of a study of velora tune ({_named(error)})"
        ) from error


def _named(error: Exception) -> str:
    """Return the kind of an error, and the first line of what it says."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def n_trials(study: optuna.Study) -> int:
    """Return how many trials a study is to have."""
    return int(study.user_attrs[_TRIALS])


def set_n_trials(study: optuna.Study, number: int) -> None:
    """Change how many trials a study is to have; workers that are at it see that before their next trial."""
    study.set_user_attr(_TRIALS, number)


def _only_study(storage: Any) -> optuna.Study:
    import optuna

    (name, *_) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage)


def _storage(home: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    journal = home / JOURNAL
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=JournalLock(journal)))  # type: ignore[arg-type]
