"""Run a job under Hydra: a command line in, an exit code out, and every mistake of the user's in one line."""

from __future__ import annotations

import importlib
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import hydra
import hydra.utils
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from velora.cli.command.arguments import Arguments
from velora.cli.command.compose import VERSION_BASE, config_dir, find_mistake_in, register
from velora.cli.command.mistakes import is_mistake, one_line
from velora.cli.run import run_directory
from velora.cli.settings import budget, groups, schema
from velora.cli.settings.explained import explain
from velora.core.errors import RunDirectoryError, SettingError
from velora.core.terminal import complain, say, silence

OK, CRASH, BAD_INPUT = 0, 1, 2

_failure_log = logging.getLogger("velora.cli.failure")


class _Failed(BaseException):
    """The exit code of a job that has reported its failure, carried past Hydra, which would print lines of its own."""

    def __init__(self, code: int) -> None:
        self.code = code


@dataclass
class _Session:
    """One command: how it reports errors, and the results and failures of its jobs."""

    command: str
    full_errors: bool
    results: list[tuple[str, float]] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    began: bool = False

    def report(self, error: BaseException, line: str | None = None) -> int:
        """Print an error to stderr and return the exit code for it."""
        if is_mistake(error) and not self.full_errors:
            complain(f"velora {self.command}: {line or one_line(error)}\n")
            return BAD_INPUT
        traceback.print_exception(error)
        return BAD_INPUT if is_mistake(error) else CRASH

    def report_launcher(self, error: Exception) -> int:
        """Print in one line why the launcher of a sweep broke off, whose jobs tell of their own errors themselves."""
        if self.full_errors:
            return self.report(error)
        cause = getattr(error, "cause", None)  # Ray wraps an error of a worker's, and its traceback becomes the text
        error = cause if isinstance(cause, Exception) else error
        if is_mistake(error):
            return self.report(error)
        first = next(iter(str(error).splitlines()), "")
        why = ": ".join(filter(None, (type(error).__name__, first)))
        complain(f"velora {self.command}: the launcher broke off ({why}); HYDRA_FULL_ERROR=1 shows the traceback\n")
        return CRASH

    def summarise(self) -> None:
        """Report how many jobs of a sweep failed, and list the objective of the others."""
        if self.failures:
            done = len(self.results) + len(self.failures)
            complain(f"velora {self.command}: {len(self.failures)} of {done} jobs failed, see above\n")
        for label, result in self.results:
            say(f"{label}  {result:.6g}\n")


def launch(
    command: str,
    job: str,
    arguments: Arguments,
    *,
    config_name: str | None = None,
    conclude: Callable[[], int] | None = None,
) -> int:
    """Compose the settings and run the job once, or for every combination that ``-m`` asks for.

    Classes that the settings name are also looked for in the current directory, so that a user's own callback needs no
    installation.

    Args:
        command: the command's name, such as ``"train"``; errors begin with it.
        job: the function to run, as ``"module:function"``; its module is imported once the settings are composed. It
            takes the settings and the run directory, and returns the objective that a sweep would maximise.
        arguments: the command line.
        config_name: the file in ``conf/`` to begin with; by default that of the command's name.
        conclude: called when all jobs of a sweep have ended, to say how, and to choose the exit code; where launchers
            run jobs in other processes, this one knows nothing of them. The words are known to compose then.

    Returns:
        The exit code: 0; 1 after an unexpected error, whose traceback was printed; 2 for a mistake of the user's.

    Raises:
        KeyboardInterrupt: after Ctrl+C.
    """
    register()
    name = config_name or command
    if arguments.is_multirun and conclude is None:  # Hydra would make the sweep's directory before it finds this
        mistake = find_mistake_in(name, arguments)
        if mistake is not None:
            raise SettingError(mistake)
    session = _Session(command, full_errors=os.environ.get("HYDRA_FULL_ERROR") == "1")
    entry = hydra.main(config_path=str(config_dir()), config_name=name, **VERSION_BASE)(_guard(job, session))
    with _hydra_process(command, arguments):
        try:
            if arguments.only_shows:
                return _shown(entry, session, name, arguments)
            return _outcome(entry, session, conclude)
        except BrokenPipeError:  # Hydra prints too, and whoever reads it may have gone
            silence(sys.stdout)
            return OK
        except Exception as error:  # noqa: BLE001 - the edge of the program: reported, never swallowed
            if isinstance(error, OSError) and error.filename is not None:
                return session.report(RunDirectoryError(_unwritable(error)))
            mistake = find_mistake_in(name, arguments)
            return session.report(error if mistake is None or session.full_errors else SettingError(mistake))


def _outcome(entry: Callable[[], object], session: _Session, conclude: Callable[[], int] | None) -> int:
    """Run all jobs and return the exit code; an error before the first of them is raised."""
    try:
        entry()
    except _Failed as failed:
        return failed.code
    except SystemExit as stop:
        if isinstance(stop.code, str):
            complain(f"{stop.code}\n")
            return CRASH
        return stop.code or OK
    except Exception as error:
        if not session.began and (conclude is None or is_mistake(error)):
            raise
        if conclude is not None:
            return max(session.report_launcher(error), conclude())
        if not session.failures:  # of a launcher that runs its jobs in other processes
            return session.report(error)
    if conclude is not None:
        return conclude()
    session.summarise()
    return session.failures[0] if session.failures else OK


def _shown(entry: Callable[[], object], session: _Session, config_name: str, arguments: Arguments) -> int:
    """Print what Hydra shows instead of running the job.

    Its help gets the meaning of each setting, and loses the groups that the command has no use for.
    """
    with redirect_stdout(io.StringIO()) as printed:
        code = _outcome(entry, session, None)
    text = printed.getvalue()
    if arguments.asks_for_help:
        name = config_name if config_name in schema.CONFIGS else "train"
        text = explain(groups.only(groups.used(config_dir() / f"{name}.yaml"), text), schema.CONFIGS[name])
    say(text)
    return code


def _unwritable(error: OSError) -> str:
    where = f"{error.filename} can't be made ({error.strerror})"
    return f"{where}; go to a directory that you may write to, or choose another hydra.run.dir"


def _guard(job: str, session: _Session) -> Callable[[DictConfig], float]:
    """Wrap a job so that its failure is reported at once, in its log file too, and leaves no empty directory."""

    def run(cfg: DictConfig) -> float:
        settings = HydraConfig.get()
        run_dir = Path(settings.runtime.output_dir)
        is_sweep = settings.mode == RunMode.MULTIRUN
        words = " ".join(word for word in settings.overrides.task if not budget.is_added(word))
        label = f"#{settings.job.num}  {words}" if is_sweep else ""
        session.began = True
        _enter(run_directory.started_in(), stay=bool(settings.job.chdir))
        try:
            schema.check(cfg)
            module, _, function = job.partition(":")
            result: float = getattr(importlib.import_module(module), function)(cfg, run_dir)
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


def _enter(directory: Path, *, stay: bool) -> None:
    """Find modules and files where the command was typed, also in a process that a launcher has begun elsewhere.

    Args:
        stay: keep the working directory, which Hydra has made that of the job.
    """
    if str(directory) not in sys.path:
        sys.path.append(str(directory))
    if not stay and directory.is_dir():
        os.chdir(directory)


@contextmanager
def _hydra_process(command: str, arguments: Arguments) -> Iterator[None]:
    """Give Hydra the command line it reads, and make it raise errors instead of printing them; nothing of it stays."""
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [f"velora {command}", *arguments.options, *arguments.overrides]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        HydraConfig.instance().cfg = None  # or the next command in this process is taken for a part of this one
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error
