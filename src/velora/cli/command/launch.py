"""Run a job under Hydra: a command line in, an exit code out, and every mistake of the user's in one line."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

import velora
from velora.cli.command.arguments import Arguments
from velora.cli.command.check import check
from velora.cli.command.diagnose import find_mistake
from velora.cli.command.failures import is_expected, one_line
from velora.cli.command.hydra_versions import VERSION_BASE
from velora.cli.run import run_directory
from velora.cli.settings import budget, schema
from velora.core.errors import RunDirectoryError, SettingError

Job: TypeAlias = Callable[[DictConfig, Path], float]
"""Takes the settings and the run directory, returns the objective that a sweep would maximise."""

OK, CRASH, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

_failure_log = logging.getLogger("velora.cli.failure")


class _Failed(BaseException):
    """Carry the exit code of a job that has reported its failure past Hydra, which would print lines of its own."""

    def __init__(self, code: int) -> None:
        self.code = code


@dataclass
class _Session:
    """Follow one command: how it reports errors, and what became of its jobs."""

    command: str
    full_errors: bool
    results: list[tuple[str, float]] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    began: bool = False

    def report(self, error: BaseException, line: str | None = None) -> int:
        """Print what went wrong to stderr and return the exit code for it."""
        if is_expected(error) and not self.full_errors:
            sys.stderr.write(f"velora {self.command}: {line or one_line(error)}\n")
            return BAD_INPUT
        traceback.print_exception(error)
        return BAD_INPUT if is_expected(error) else CRASH

    def summarise(self) -> None:
        """Say how many jobs of a sweep failed, and list the objective of the others."""
        if self.failures:
            done = len(self.results) + len(self.failures)
            sys.stderr.write(f"velora {self.command}: {len(self.failures)} of {done} jobs failed, see above\n")
        for label, result in self.results:
            sys.stdout.write(f"{label}  {result:.6g}\n")


def config_dir() -> Path:
    """Find the configuration files: inside an installed package, or at the top of a checkout."""
    package = Path(velora.__file__).parent
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parents[1] / "conf"


def launch(command: str, job: Job, arguments: Arguments, *, config_name: str | None = None) -> int:
    """Compose the settings and run the job once, or for every combination that ``-m`` asks for.

    Classes that the settings name are also looked for in the current directory, so that a user's own callback needs no
    installation.

    Args:
        command: what the user called it, such as ``"train"``; errors begin with it.
        job: what to run.
        arguments: the command line.
        config_name: the file in ``conf/`` to begin with; by default that of the command's name.

    Returns:
        The exit code: 0; 1 after an unexpected error, whose traceback was printed; 2 for a mistake of the user's; 130
        when interrupted.
    """
    schema.register()
    run_directory.register_resolvers()
    name, conf = config_name or command, config_dir()
    if arguments.is_multirun:  # Hydra would make the sweep's directory before it finds this
        mistake = find_mistake(conf=conf, config_name=name, arguments=arguments)
        if mistake is not None:
            raise SettingError(mistake)
    session = _Session(command, full_errors=os.environ.get("HYDRA_FULL_ERROR") == "1")
    entry = hydra.main(config_path=str(conf), config_name=name, **VERSION_BASE)(_guard(job, session))
    with _hydra_process(command, arguments):
        try:
            return _outcome(entry, session)
        except Exception as error:  # noqa: BLE001 - the edge of the program: reported, never swallowed
            if isinstance(error, OSError) and error.filename is not None:
                return session.report(RunDirectoryError(_unwritable(error)))
            mistake = find_mistake(conf=conf, config_name=name, arguments=arguments)
            return session.report(error if mistake is None or session.full_errors else SettingError(mistake))


def _outcome(entry: Callable[[], object], session: _Session) -> int:
    """Run all jobs and return the exit code; what goes wrong before the first of them is raised."""
    try:
        entry()
    except _Failed as failed:
        return failed.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as stop:
        if isinstance(stop.code, str):
            sys.stderr.write(f"{stop.code}\n")
            return CRASH
        return stop.code or OK
    except Exception as error:
        if not session.began:
            raise
        if not session.failures:  # of a launcher that runs its jobs in other processes
            return session.report(error)
    session.summarise()
    return session.failures[0] if session.failures else OK


def _unwritable(error: OSError) -> str:
    where = f"{error.filename} can't be made ({error.strerror})"
    return f"{where}; go to a directory that you may write to, or choose another hydra.run.dir"


def _guard(job: Job, session: _Session) -> Callable[[DictConfig], float]:
    """Wrap a job so that its failure is reported at once, in its log file too, and leaves no empty directory."""

    def run(cfg: DictConfig) -> float:
        settings = HydraConfig.get()
        run_dir = Path(settings.runtime.output_dir)
        is_sweep = settings.mode == RunMode.MULTIRUN
        words = " ".join(word for word in settings.overrides.task if not budget.is_added(word))
        label = f"#{settings.job.num}  {words}" if is_sweep else ""
        session.began = True
        if os.getcwd() not in sys.path:  # set here, since a launcher may run this in another process
            sys.path.append(os.getcwd())
        try:
            check(cfg)
            result = job(cfg, run_dir)
        except Exception as error:
            code = session.report(error, f"{label}: {one_line(error)}" if is_sweep else None)
            if (run_dir / run_directory.CONFIG).exists() and not isinstance(error, RunDirectoryError):
                _failure_log.error(one_line(error), exc_info=error)
            if not is_sweep:
                raise _Failed(code) from error
            session.failures.append(code)
            raise
        finally:
            run_directory.remove_if_empty(run_dir)
        if is_sweep:
            session.results.append((label, result))
        return result

    return run


@contextmanager
def _hydra_process(command: str, arguments: Arguments) -> Iterator[None]:
    """Give Hydra the command line it reads, and make it raise errors instead of printing them and exiting."""
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [f"velora {command}", *arguments.options, *arguments.overrides]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error
