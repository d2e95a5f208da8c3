"""The process of one job of a sweep."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Final

from velora.cli.sweep.processes import tie_to_parent

INTERRUPTED: Final = 130


def work(job: bytes, returned: str, parent: int) -> None:
    """Run a job, and write what it returned, as the last thing.

    Args:
        job: the pickled context, task, settings and singletons of Hydra.
        returned: the file for a status of Hydra's, and the value or the error.
        parent: the number of the process that launched it.

    Raises:
        SystemExit: with 130 after Ctrl+C, for which the parent has a line of its own.
    """
    tie_to_parent(parent)
    try:
        content = _run(job)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    staged = Path(f"{returned}.staged")
    staged.write_bytes(content)
    staged.replace(returned)


def _run(job: bytes) -> bytes:
    """Run a job as Hydra's own launchers do; return its status and value, pickled."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.singleton import Singleton
    from hydra.core.utils import JobStatus, run_job, setup_globals

    setup_globals()
    context, task, settings, state = pickle.loads(job)
    Singleton.set_state(state)
    HydraConfig.instance().set_config(settings)
    ended = run_job(
        hydra_context=context,
        task_function=task,
        config=settings,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    value = ended._return_value
    try:
        return pickle.dumps((ended.status, value))
    except Exception:  # noqa: BLE001 - an error of a user's may hold anything
        return pickle.dumps((JobStatus.FAILED, RuntimeError(repr(value))))
