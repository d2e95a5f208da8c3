"""Hydra's launcher ``processes``: a process for each job, on this machine. Hydra finds it in this namespace package.

It is imported at every start of anything that uses Hydra, so everything else is imported when jobs are launched. Hydra
runs it before it is in ``sys.modules``, where dataclasses look up annotations that are text: none are here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


@dataclass
class ProcessesConf:
    """Settings of the launcher.

    Attributes:
        n_jobs: how many run at a time; ``None`` is as many as there are cores.
    """

    _target_: str = "hydra_plugins.velora_processes.ProcessesLauncher"
    n_jobs: int | None = None


ConfigStore.instance().store(group="hydra/launcher", name="processes", node=ProcessesConf, provider="velora")


class ProcessesLauncher(Launcher):
    """A launcher that runs each job in a process of its own, and bears the death of any of them."""

    def __init__(self, n_jobs: int | None = None) -> None:
        """Choose how many jobs run at a time."""
        self.n_jobs = n_jobs
        self.hydra_context: HydraContext | None = None
        self.task_function: TaskFunction | None = None
        self.config: DictConfig | None = None

    def setup(self, *, hydra_context: "HydraContext", task_function: "TaskFunction", config: "DictConfig") -> None:
        """Take what Hydra gives to a launcher."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> "Sequence[JobReturn]":
        """Run the jobs; see :func:`velora.cli.sweep.launching.launch`."""
        from velora.cli.sweep import launching

        assert self.hydra_context is not None
        assert self.task_function is not None
        assert self.config is not None
        return launching.launch(
            self.hydra_context,
            self.task_function,
            self.config,
            job_overrides,
            initial_job_idx=initial_job_idx,
            n_jobs=self.n_jobs,
        )
