"""Optimizers over flat parameters, by short key, with the state that each keeps, so that loading names no class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from velora.checkpoint.registry import Registry
from velora.kernels.backend import AdamState, Backend
from velora.nn.flat import FlatParameters

if TYPE_CHECKING:
    from torch.optim import Optimizer


class SeedOptimizer(Protocol):
    """Improve the parameters of one network, each seed by itself.

    ``param_groups`` is as in ``torch.optim``: a callback may read and set ``param_groups[0]["lr"]``.
    """

    param_groups: list[dict[str, Any]]

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        ...

    def prepare(self) -> None:
        """Take over a changed learning rate; called before every step."""
        ...

    def step(self, rows: Sequence[int]) -> None:
        """Make one step for those of these positions of the seed axis that are sound."""
        ...

    def forget(self, mask: Tensor) -> None:
        """Drop what is kept for parameters that a mask (S, P) switches off, so that no step moves them."""
        ...

    def state(self, seed_index: int) -> dict[str, Tensor]:
        """Return ``<parameter>.<key>`` to tensor (1, ...), or () for the step count; empty before the first step."""
        ...

    def load_state(self, seed_index: int, state: Mapping[str, Tensor]) -> None:
        """Take such a state over."""
        ...


@dataclass(frozen=True, slots=True)
class OptimizerKind:
    """Kind of optimizer: how to build it, and which tensors it keeps for each parameter.

    Attributes:
        build: makes a ``torch.optim`` optimizer of parameters (one for each seed) and a learning rate.
        state: the tensors shaped like the parameter.
        counts_steps: whether there is a scalar ``step`` besides.
        weight_decay: for Adam in one of our kernels, instead of ``build``; ``None`` for all others.
    """

    build: Callable[[Sequence[nn.Parameter], float], Optimizer]
    state: tuple[str, ...]
    counts_steps: bool = True
    weight_decay: float | None = None

    def make(self, flat: FlatParameters, lr: float, backend: Backend, sound: Tensor) -> SeedOptimizer:
        """Build the optimizer of one network; ``sound`` is :class:`velora.models.guard.Guard`'s."""
        if self.weight_decay is None:
            return RowOptimizer(self.build, flat, lr, sound)
        return Adam(flat, lr, backend, sound, weight_decay=self.weight_decay)


class Adam:
    """Adam and AdamW on flat memory, one fused operation for all parameters, with a step count for each seed.

    Source:
        Kingma & Ba 2015 (arXiv 1412.6980), algorithm 1; Loshchilov & Hutter 2019 for ``weight_decay``. Betas and
        epsilon are those of ``torch.optim.Adam``.
    """

    def __init__(
        self, flat: FlatParameters, lr: float, backend: Backend, sound: Tensor, *, weight_decay: float
    ) -> None:
        assert flat.gradient is not None
        self.flat, self.backend = flat, backend
        self.param_groups: list[dict[str, Any]] = [{"params": list(flat.module.parameters()), "lr": lr}]
        constants, where = (0.9, 0.999, 1e-8, weight_decay), flat.values.device
        wide = torch.float32 if where.type == "mps" else torch.float64  # which that device doesn't have
        rates = torch.tensor([lr, *constants], dtype=wide, device=where)
        first, second = torch.zeros_like(flat.values), torch.zeros_like(flat.values)
        steps = torch.zeros(flat.n_seeds, dtype=wide, device=where)
        self.memory = AdamState(flat.values, flat.gradient, first, second, steps, sound, rates, constants)
        self._lr = lr

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        self.memory.gradient.zero_()

    def prepare(self) -> None:
        """Take over a changed learning rate; that of a frozen network is 0."""
        lr = 0.0 if self.flat.is_frozen else self.param_groups[0]["lr"]
        if lr != self._lr:
            self._lr = lr
            self.memory.rates[0] = lr

    def step(self, rows: Sequence[int]) -> None:
        """Make one step for these positions of the seed axis."""
        self.backend.adam(self.memory, rows=rows)

    def forget(self, mask: Tensor) -> None:
        """Drop the moments of what a mask switches off."""
        self.memory.first.mul_(mask)
        self.memory.second.mul_(mask)

    def state(self, seed_index: int) -> dict[str, Tensor]:
        """Return what a checkpoint keeps of one seed."""
        own, taken = slice(seed_index, seed_index + 1), self.memory.steps[seed_index].float()
        kept: dict[str, Tensor] = {}
        if float(taken) > 0.0:
            kept |= {f"{name}.step": taken for name in self.flat.places}
            kept |= {f"{name}.exp_avg": part for name, part in self.flat.views(self.memory.first[own])}
            kept |= {f"{name}.exp_avg_sq": part for name, part in self.flat.views(self.memory.second[own])}
        return kept

    def load_state(self, seed_index: int, state: Mapping[str, Tensor]) -> None:
        """Take such a state over."""
        for name in self.flat.places if state else ():
            self.memory.steps[seed_index] = state[f"{name}.step"].double()
            self.flat.view(self.memory.first, name)[seed_index] = state[f"{name}.exp_avg"][0]
            self.flat.view(self.memory.second, name)[seed_index] = state[f"{name}.exp_avg_sq"][0]


class RowOptimizer:
    """Any elementwise optimizer of ``torch.optim``: the parameters of each seed are one parameter to it."""

    def __init__(
        self,
        build: Callable[[Sequence[nn.Parameter], float], Optimizer],
        flat: FlatParameters,
        lr: float,
        sound: Tensor,
    ) -> None:
        assert flat.gradient is not None
        self.flat, self._sound = flat, sound
        self._rows = [nn.Parameter(row) for row in flat.values]
        self._gradients = list(flat.gradient)
        self._begun: set[int] = set()
        self.optimizer = build(self._rows, lr)
        self.param_groups: list[dict[str, Any]] = self.optimizer.param_groups

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        assert self.flat.gradient is not None
        self.flat.gradient.zero_()

    def prepare(self) -> None:
        """Do nothing: the optimizer reads its learning rate itself."""

    def step(self, rows: Sequence[int]) -> None:
        """Make one step for these positions of the seed axis; torch leaves out what has no gradient."""
        if self.flat.is_frozen:
            return
        sound = self._sound.tolist()
        rows = [k for k in rows if sound[k]]
        for k, row in enumerate(self._rows):
            row.grad = self._gradients[k] if k in rows else None
        if self._begun.issuperset(rows):
            self.optimizer.step()
            return
        self._begun.update(rows)
        with self.flat.values.device:  # where a first step allocates its state, whatever PyTorch's default is
            self.optimizer.step()

    def forget(self, mask: Tensor) -> None:
        """Drop what is kept of what a mask switches off."""
        for row, own in zip(self._rows, mask, strict=True):
            for value in self.optimizer.state.get(row, {}).values():
                if isinstance(value, Tensor) and value.dim():
                    value.mul_(own)

    def state(self, seed_index: int) -> dict[str, Tensor]:
        """Return what a checkpoint keeps of one seed."""
        kept: dict[str, Tensor] = {}
        for key, value in self.optimizer.state.get(self._rows[seed_index], {}).items():
            if not isinstance(value, Tensor):
                continue
            if value.dim() == 0:  # a count, of PyTorch's default type
                kept |= {f"{name}.{key}": value.float() for name in self.flat.places}
            else:
                kept |= {f"{name}.{key}": part for name, part in self.flat.views(value.unsqueeze(0))}
        return kept

    def load_state(self, seed_index: int, state: Mapping[str, Tensor]) -> None:
        """Take such a state over."""
        device = self.flat.values.device
        keys = dict.fromkeys(name.rpartition(".")[2] for name in state)
        loaded: dict[str, Tensor] = {}
        for key in keys:
            parts = [state[f"{name}.{key}"] for name in self.flat.places]
            is_count = parts[0].dim() == 0
            loaded[key] = parts[0].clone() if is_count else torch.cat([p.flatten() for p in parts]).to(device)
        if loaded:
            self.optimizer.state[self._rows[seed_index]] = loaded


OPTIMIZERS: Registry[OptimizerKind] = Registry("optimizer")
"""Register an optimizer of your own here; it has to be elementwise, so that parameters don't mix."""

_NEVER_NEGATIVE = frozenset({"step", "exp_avg_sq", "square_avg"})
"""Keys of counts and of averages of squares."""


def find_fault(state: Mapping[str, Tensor]) -> str | None:
    """Return why the saved state of optimizers is impossible, in one line, or ``None`` if it isn't."""
    for name, tensor in state.items():
        key = name.rpartition(".")[2]
        if key in _NEVER_NEGATIVE and bool((tensor < 0.0).any()):
            return f"{name}: expected numbers of at least 0, found {float(tensor.min()):g}"
        if key == "step" and float(tensor) % 1.0:
            return f"{name}: expected a whole number, found {float(tensor):g}"
    return None


_MOMENTS = ("exp_avg", "exp_avg_sq")
OPTIMIZERS.register("adam")(OptimizerKind(lambda p, lr: torch.optim.Adam(p, lr), _MOMENTS, weight_decay=0.0))
OPTIMIZERS.register("adamw")(OptimizerKind(lambda p, lr: torch.optim.AdamW(p, lr), _MOMENTS, weight_decay=0.01))
OPTIMIZERS.register("rmsprop")(OptimizerKind(lambda p, lr: torch.optim.RMSprop(p, lr), ("square_avg",)))
OPTIMIZERS.register("sgd")(OptimizerKind(lambda p, lr: torch.optim.SGD(p, lr), (), counts_steps=False))
