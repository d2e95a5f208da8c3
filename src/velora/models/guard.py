"""Guard over the losses and gradients of updates: one that isn't finite makes no step, and is told by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from velora.core.finite import first_not_finite, weights_of


class Judged(NamedTuple):
    """What was looked at before a step: the loss of a network, and the norm of its gradient, (S,) each."""

    network: str
    loss: Tensor
    norms: Tensor

    def fault(self, seed_index: int) -> str | None:
        """Say in words which of the two isn't finite."""
        loss, norm = float(self.loss[seed_index]), float(self.norms[seed_index])
        if not np.isfinite(loss):
            return f"{self.network}/loss is {loss}"
        return None if np.isfinite(norm) else f"the gradient of the {self.network} has the norm {norm}"


class Guard:
    """Keep which seeds had nothing but finite losses and gradients; the others take no step.

    The steps themselves look at ``sound`` where they are made, so that nothing waits for a GPU: its host learns of a
    fault when the next update begins.

    Shapes:
        sound: (S,), on the device: 1, or 0 from the first NaN or infinity on; see
            :meth:`velora.kernels.backend.Backend.judge`.

    Attributes:
        faults: of every seed that isn't sound, what wasn't finite.
        is_far: whether ``sound`` is out of the host's sight, until it is sent.
    """

    def __init__(self, n_seeds: int, device: torch.device) -> None:
        self.sound = torch.ones(n_seeds, dtype=torch.float32, device=device)
        self.is_far = device.type != "cpu"
        self.faults: dict[int, str] = {}
        self._new: list[int] = []
        here = torch.ones(n_seeds, dtype=torch.float32, device="cpu") if self.is_far else self.sound
        self._host = here.pin_memory() if device.type == "cuda" else here
        self.reset()

    def reset(self) -> None:
        """Begin anew, with every seed sound; called when training begins."""
        with torch.inference_mode(False):
            self.sound.fill_(1.0)
            self._host.fill_(1.0)
        self._seen: Any = self._host.numpy()
        self.faults.clear()
        self._new.clear()

    def send(self) -> None:
        """Send ``sound`` to the host, without waiting for a GPU."""
        self._host.copy_(self.sound, non_blocking=True)

    def look(self, judged: Judged) -> None:
        """Note the faults in what was judged just now; waits for a GPU."""
        if self.is_far:
            self._host.copy_(self.sound)
        self.note((judged,))

    def note(self, judged: Sequence[Judged]) -> None:
        """Note of each seed that isn't sound, as far as the host knows, the first fault in what was judged in order."""
        sound = self._seen.tolist()
        if 0.0 not in sound:
            return
        for k, is_sound in enumerate(sound):
            if not is_sound and k not in self.faults:
                faults = filter(None, (each.fault(k) for each in judged))
                self.faults[k] = next(faults, "a loss or a gradient isn't finite")
                self._new.append(k)

    def trace(self, networks: Mapping[str, nn.Module], batch: object) -> None:
        """Say of new faults where they came from: a weight, or a part of the batch, a dataclass of (S, ...)."""
        while self._new:
            k = self._new.pop()
            parts = ((name, getattr(batch, name)) for name in getattr(batch, "__dataclass_fields__", ()))
            weight = first_not_finite(weights_of(networks.items()), k)
            part = None if weight is not None else first_not_finite(parts, k)
            source = weight or (part and f"{part} of the batch")
            if source:
                self.faults[k] += f", for {source} holds NaN or infinity"
