"""Measure the recurrent layers of ncps and of PyTorch on whole sequences."""

from __future__ import annotations

from collections.abc import Callable

import torch
from ncps.torch import LTC, CfC
from ncps.wirings import AutoNCP
from torch import Tensor, nn

from benchmarks.peers.protocol import Answer, Settings, median_ms, serve
from benchmarks.speed.arithmetic import sequence_mflop

LAYERS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "ncps CfC": lambda inputs, units, outputs: CfC(inputs, AutoNCP(units, outputs)),
    "ncps LTC": lambda inputs, units, outputs: LTC(inputs, AutoNCP(units, outputs)),
    "GRU": lambda inputs, units, _: nn.GRU(inputs, units, batch_first=True),
    "LSTM": lambda inputs, units, _: nn.LSTM(inputs, units, batch_first=True),
}


def sequence(settings: Settings) -> Answer:
    """Row 3: forward without gradients, and forward with the gradients of all parameters."""
    batch, time, inputs = settings["shape"]
    layer = LAYERS[settings["layer"]](inputs, settings["units"], settings["outputs"])
    x = torch.randn(batch, time, inputs, generator=torch.Generator().manual_seed(0))
    pull = torch.ones_like(layer(x)[0])

    def forward() -> Tensor:
        with torch.no_grad():
            out: Tensor = layer(x)[0]
            return out

    def both() -> None:
        layer.zero_grad()
        layer(x)[0].backward(pull)

    times = {
        "forward_ms": median_ms(forward, seconds=settings["seconds"]),
        "both_ms": median_ms(both, seconds=settings["seconds"]),
    }
    if isinstance(layer, nn.RNNBase):  # ncps multiplies with its missing synapses too
        times |= sequence_mflop(sum(p.numel() for p in layer.parameters()), batch * time)
    return times


if __name__ == "__main__":
    serve({"sequence": sequence})
