"""What a run takes of its machine, in the metrics."""

from __future__ import annotations

import time

import torch

from velora.callbacks.base import Callback
from velora.callbacks.cadence import Cadence, check_whole
from velora.core.protocols import AgentView, TrainerView
from velora.core.ram import available_bytes, resident_bytes

_MIB = 2**20


class DeviceStats(Callback):
    """Log what this process takes of processor, memory and GPU.

    ``device/cpu_cores`` is processor time over time, so that 1.0 is one core; ``device/memory_mib`` is what the process
    has in memory, and ``device/memory_left_mib`` what it can still take. On a GPU ``device/gpu_memory_mib`` is what its
    tensors take, and ``device/gpu_memory_peak_mib`` the most that they ever took. What a system doesn't tell is left
    out.

    Example:
        >>> DeviceStats(every=5_000).every
        5000
    """

    def __init__(self, *, every: int = 1_000) -> None:
        """Choose how often.

        Args:
            every: environment steps of a seed between two rows, at least 1.

        Raises:
            SettingError: if it isn't such a number.
        """
        check_whole("device_stats.every", every)
        self.every = every
        self._cadence = Cadence(every)
        self._last = 0.0, 0.0

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Start the clocks."""
        self._last = time.perf_counter(), time.process_time()
        self._cadence.start(0, trainer.step)

    def on_step_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Log if it is time."""
        if self._cadence.is_due(0, trainer.step):
            trainer.log(self._measure(agent.device))

    def _measure(self, device: torch.device) -> dict[str, float]:
        (before_s, before_cpu_s), self._last = self._last, (time.perf_counter(), time.process_time())
        now_s, now_cpu_s = self._last
        found = {"device/cpu_cores": (now_cpu_s - before_cpu_s) / max(now_s - before_s, 1e-9)}
        for name, size in (("memory", resident_bytes()), ("memory_left", available_bytes())):
            if size is not None:
                found[f"device/{name}_mib"] = size / _MIB
        if device.type == "cuda":
            found["device/gpu_memory_mib"] = torch.cuda.memory_allocated(device) / _MIB
            found["device/gpu_memory_peak_mib"] = torch.cuda.max_memory_allocated(device) / _MIB
        return found
