"""Measure our unrolls on whole sequences. Runs as a process, as the peers do."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.peers.protocol import Answer, Settings, median_ms, serve
from benchmarks.speed.arithmetic import sequence_mflop
from velora import kernels
from velora.nn.cells import make_cell
from velora.nn.parameters import count_parameters
from velora.nn.sequence import unroll
from velora.nn.wiring import auto_ncp


def sequence(settings: Settings) -> Answer:
    """Row 3: forward without gradients, and forward with the gradients of all parameters.

    The wiring is the peers', and as theirs, the output is the motor neurons'.
    """
    batch, time, inputs = settings["shape"]
    wiring = auto_ncp(inputs, settings["units"], settings["outputs"])
    cell = make_cell(settings["cell"], [wiring], [torch.Generator().manual_seed(0)])
    x = torch.randn(1, batch, time, inputs, generator=torch.Generator().manual_seed(0))
    h, dt = cell.initial_state(batch), torch.ones(1, batch, time)
    pull = torch.ones(1, batch, time, settings["outputs"])

    def forward() -> Tensor:
        with torch.no_grad():
            return cell.readout(unroll(cell, x, h, dt)[0])

    def both() -> None:
        cell.zero_grad()
        cell.readout(unroll(cell, x, h, dt)[0]).backward(pull)

    with kernels.using(settings["kernel"]):
        return {
            "forward_ms": median_ms(forward, seconds=settings["seconds"]),
            "both_ms": median_ms(both, seconds=settings["seconds"]),
            **sequence_mflop(count_parameters(cell).active, batch * time),
        }


if __name__ == "__main__":
    serve({"sequence": sequence})
