"""Keep the memory of calls for the next ones: making it costs as much as several calls."""

from __future__ import annotations

import torch
from torch import Tensor

from velora.kernels.arrays.namespace import Namespace
from velora.kernels.arrays.unroll import Unrolled
from velora.kernels.arrays.workspace import Form
from velora.kernels.plan import Plan
from velora.kernels.recording_guard import unguarded

_MOST = 16


class Pool:
    """Lend what unrolls one network, one for each form of call.

    Shapes:
        mask: (S, P) or ``None``; read once.
    """

    def __init__(self, xp: Namespace, plan: Plan, mask: Tensor | None) -> None:
        self.xp, self.plan = xp, plan
        self._mask = None if mask is None else mask.detach().cpu().numpy()
        self._spare: dict[Form, Unrolled] = {}

    def take(self, form: Form) -> Unrolled:
        """Take one out, or make one, but not in inference mode: nothing else may write to memory made there."""
        spare = self._spare.pop(form, None)
        if spare is None:
            with torch.inference_mode(False), torch.no_grad(), unguarded():
                spare = Unrolled(self.xp, self.plan, form, self._mask)
        return spare

    def give_back(self, unrolled: Unrolled) -> None:
        """Let the next call of this form have it."""
        if len(self._spare) >= _MOST:
            self._spare.clear()
        self._spare[unrolled.form] = unrolled
