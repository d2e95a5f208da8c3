"""What a run takes of its machine, in the metrics."""

from __future__ import annotations

import time

import torch

from velora.callbacks.monitors import StepMonitor
from velora.core.protocols import AgentView, TrainerView
from velora.core.ram import available_bytes, resident_bytes

_MIB = 2**20


class DeviceStats(StepMonitor):
    """Log what this process takes of processor, memory and GPU.

    ``device/cpu_cores`` is processor time over time, so that 1.0 is one core; ``device/memory_mib`` is what the process
    has in memory, and ``device/memory_left_mib`` what it can still take. On a GPU ``device/gpu_memory_mib`` is what its
    tensors take, and ``device/gpu_memory_peak_mib`` the most that they ever took. What a system doesn't tell is left
    out.

    Example:
        >>> DeviceStats(every=5_000).every
        5000
    """

    def start(self, trainer: TrainerView) -> None:
        """Start the clocks."""
        self._last = time.perf_counter(), time.process_time()

    def measure(self, trainer: TrainerView, agent: AgentView) -> dict[str, float]:
        """Look at clocks and memory."""
        device = agent.device
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
