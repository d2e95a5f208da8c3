"""Launch the jobs that Hydra's sweeper has made, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import cloudpickle
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from velora.analysis.find import planned_jobs
from velora.cli.run import run_directory
from velora.cli.runs.live import LiveRuns
from velora.cli.sweep import processes
from velora.core.cores import n_cores
from velora.core.errors import SettingError
from velora.core.terminal import complain, say

LOG: Final = "job.log"
"""The file in a job's directory that has what its process prints."""
START: Final = (
    "import os, pickle, sys; path, job = pickle.load(open(sys.argv[1], 'rb')); os.remove(sys.argv[1]); "
    "sys.path[:] = path; from velora.cli.sweep.worker import work; work(job, sys.argv[2], int(sys.argv[3]))"
)
"""The program of a job: it looks for modules where this process does, before it unpickles what is made of them."""


def launch(
    context: HydraContext,
    task: TaskFunction,
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    *,
    initial_job_idx: int,
    n_jobs: int | None,
) -> list[JobReturn]:
    """Run jobs as Hydra's launchers do, and return what each returned; NaN of a job whose process died.

    Args:
        context: Hydra's, with the loader that composes.
        task: what to call with the settings of a job.
        config: settings of the sweep.
        job_overrides: the words of each job.
        initial_job_idx: the number of the first of them.
        n_jobs: how many run at a time; ``None`` is as many as there are cores.

    Raises:
        SettingError: if ``n_jobs`` is less than 1.
        Stopped: if a signal asked this process to end; the jobs have saved and ended.
    """
    if n_jobs is not None and n_jobs < 1:
        raise SettingError(f"hydra.launcher.n_jobs: expected at least 1, or null for all cores, got {n_jobs}")
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    at_a_time = min(n_jobs or n_cores(), len(job_overrides))
    with tempfile.TemporaryDirectory(prefix="velora-sweep-") as directory, _shown(config) as live:
        jobs = _Jobs(context, task, config, job_overrides, initial_job_idx, Path(directory), is_shown=live is not None)
        tick = _do_nothing if live is None else live.tick
        processes.run_all(jobs.works(), at_a_time=at_a_time, ended=jobs.ended, tick=tick)
        return [jobs.returned(position) for position in range(len(job_overrides))]


def _shown(config: DictConfig) -> contextlib.AbstractContextManager[LiveRuns | None]:
    """Make the live table of a sweep, unless it is not wanted, or no run is trained."""
    if not OmegaConf.select(config, "train.progress_bar"):
        return contextlib.nullcontext()
    top = Path(str(config.hydra.sweep.dir)).absolute()
    return LiveRuns(lambda: planned_jobs(top), top=top)


def _do_nothing() -> None:
    """Show nothing."""


class _Jobs:
    """The jobs of a sweep, as commands; what they take and return passes through files."""

    def __init__(
        self,
        context: HydraContext,
        task: TaskFunction,
        config: DictConfig,
        job_overrides: Sequence[Sequence[str]],
        first: int,
        directory: Path,
        *,
        is_shown: bool,
    ) -> None:
        self._is_shown = is_shown
        self._context, self._task, self._config = context, task, config
        self._overrides, self._first, self._directory = job_overrides, first, directory
        self._logs: dict[str, Path] = {}

    def works(self) -> Iterator[processes.Work]:
        """Compose each job when its turn comes."""
        for position, words in enumerate(self._overrides):
            settings = self._settings(position, words)
            run_dir = Path(str(settings.hydra.sweep.dir)) / str(OmegaConf.select(settings, "hydra.sweep.subdir"))
            job = cloudpickle.dumps((self._context, self._task, settings, Singleton.get_state()))
            taken = self._directory / f"{position}.taken"
            taken.write_bytes(pickle.dumps((sys.path, job)))
            command = [sys.executable, "-P", "-c", START, str(taken), str(self._returned(position)), str(os.getpid())]
            self._say(f"begins  {run_dir.name}\n")
            yield processes.Work(str(position), command, run_dir / LOG)

    def ended(self, work: processes.Work, code: int) -> None:
        """Say how a job's process ended."""
        name, position = work.log.parent.name, int(work.name)
        if self._returned(position).exists() or processes.was_told(code):
            self._say(f"ended   {name}\n")
        else:
            complain(f"velora train: {name}: {processes.said(code)}; see {run_directory.shown(work.log)}\n")

    def _say(self, line: str) -> None:
        """Say what a live table would show."""
        if not self._is_shown:
            say(line)

    def returned(self, position: int) -> JobReturn:
        """Return what a job returned, in Hydra's form."""
        try:
            status, value = pickle.loads(self._returned(position).read_bytes())
        except FileNotFoundError:
            status, value = JobStatus.COMPLETED, float("nan")
        made = JobReturn(overrides=list(self._overrides[position]), status=status)
        made.return_value = value
        return made

    def _returned(self, position: int) -> Path:
        return self._directory / f"{position}.returned"

    def _settings(self, position: int, words: Sequence[str]) -> DictConfig:
        settings = self._context.config_loader.load_sweep_config(self._config, list(words))
        number = self._first + position
        with open_dict(settings):
            settings.hydra.job.id, settings.hydra.job.num = str(number), number
        HydraConfig.instance().set_config(settings)
        return settings
