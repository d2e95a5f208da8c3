"""What an agent learns with: networks in flat memory, their optimizers, and the update as a program."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn

from velora.buffers import Batch
from velora.core.types import Metrics
from velora.kernels import make_backend
from velora.kernels.arrays.namespace import Values
from velora.kernels.backend import Program
from velora.models.optimizers import Adam, OptimizerKind, SeedOptimizer
from velora.nn.flat import FlatParameters
from velora.nn.parameters import Scalar
from velora.nn.run.autograd import write_gradient
from velora.nn.run.make import make_network
from velora.nn.run.network import Network
from velora.nn.run.without_time import Timeless
from velora.training.hooks import HookTable

Step: TypeAlias = Callable[[Batch], Metrics]

_MOST_PROGRAMS = 8
"""Programs that are kept; each has memory of its own."""


class Source(Protocol):
    """What a program takes its batch from."""

    def gather(self, uniform: Values, length: int, device: torch.device) -> Batch:
        """See :class:`velora.buffers.ReplayBuffer`."""
        ...


class Learner:
    """Hold the trained networks and their targets, and improve them.

    Args:
        followed: which of them have a target.
        tells_time: whether cells are told how much time has passed; if not, every step takes them 1.

    Attributes:
        modules: every network by name, ``target_<name>`` beside ``<name>``.
        flats: the parameters of each.
        rows: positions on the seed axis that learn from the next update.
    """

    def __init__(
        self,
        trained: Mapping[str, nn.Module],
        followed: Iterable[str],
        device: torch.device,
        kernel: str,
        *,
        tells_time: bool = True,
    ) -> None:
        self.kernel, self.device, self._tells_time = kernel, device, tells_time
        self.backend = make_backend(kernel, device)
        self._followed = tuple(followed)
        trained = {name: net.to(device) for name, net in trained.items()}
        targets = {f"target_{name}": _copied(trained[name]).requires_grad_(False) for name in self._followed}
        self.modules: dict[str, nn.Module] = {**trained, **targets}
        self.flats = {name: FlatParameters(net, is_trained=name in trained) for name, net in self.modules.items()}
        self._networks: dict[str, Network] = {}
        self.n_seeds = next(iter(self.flats.values())).n_seeds
        self.rows: tuple[int, ...] = tuple(range(self.n_seeds))
        self.optimizers: dict[str, SeedOptimizer] = {}
        self._programs: dict[Hashable, Update] = {}

    @property
    def networks(self) -> dict[str, Network]:
        """Every network as an update runs it, prepared when one is first needed; a ``Scalar`` isn't run."""
        if not self._networks:
            with torch.inference_mode(False):  # acting may be first
                self._networks = {n: self._network(n) for n, m in self.modules.items() if not isinstance(m, Scalar)}
        return self._networks

    def _network(self, name: str) -> Network:
        network = make_network(self.modules[name], self.flats[name], self.kernel)  # type: ignore[arg-type]
        return network if self._tells_time else Timeless(network)

    def masks_changed(self) -> None:
        """Follow masks that were loaded into the modules."""
        for flat in self.flats.values():
            flat.apply_mask()
        self._programs.clear()

    def make_optimizers(self, kind: OptimizerKind, rates: Mapping[str, float]) -> None:
        """Build one optimizer for each trained network."""
        self.optimizers = {name: kind.make(self.flats[name], rate, self.backend) for name, rate in rates.items()}

    def optimize(
        self, name: str, loss: Tensor, backward: Callable[[], None] | None, hooks: HookTable, clip: float | None
    ) -> None:
        """Take one optimizer step of one network; see :meth:`velora.models.Agent.optimize`."""
        optimizer, flat = self.optimizers[name], self.flats[name]
        assert flat.gradient is not None
        for hook in hooks.on_before_zero_grad:
            hook(optimizer)
        optimizer.zero_grad()
        if hooks.on_before_backward:
            total = loss.sum()
            for hook in hooks.on_before_backward:
                hook(total)
        if backward is None:
            write_gradient(loss, torch.ones_like(loss), list(self.modules[name].parameters()), flat)
        else:
            backward()
        for hook in hooks.on_after_backward:
            hook()
        if clip is not None:
            self.backend.clip(flat.gradient, max_norm=clip)
        for hook in hooks.on_before_optimizer_step:
            hook(optimizer)
        optimizer.prepare()
        optimizer.step(self.rows)

    def follow(self, tau: float) -> None:
        """Move every target towards its network."""
        for name in self._followed:
            target, source = self.flats[f"target_{name}"].values, self.flats[name].values
            self.backend.follow(target, source, tau=tau, rows=self.rows)

    def program(self, kind: Hashable, length: int, source: Source, uniform: Values, training_step: Step) -> Update:
        """Note an update as a program at the first call, and return it from then on.

        Shapes:
            uniform: (S, B), which windows to sample; the same memory at every call.

        Args:
            kind: sets updates apart that do different things.
            source: of the batch.
            training_step: the update; all its arithmetic is calls of networks, backend and optimizers.
        """
        key = kind, uniform.shape[1], length, self.rows if self.backend.records_rows else ()
        update = self._programs.get(key)
        if update is None:
            program = self.backend.program()
            with program.record():
                batch = source.gather(uniform, length, self.device)
                metrics = training_step(batch)
            if len(self._programs) >= _MOST_PROGRAMS:
                self._programs.clear()
            update = self._programs[key] = Update(program, batch, metrics)
        for optimizer in self.optimizers.values():
            optimizer.prepare()
        return update


def _copied(net: nn.Module) -> nn.Module:
    """Copy a network: as ``deepcopy``, which is slow with buffers and with the dozen empty tables of every module."""
    copies: dict[int, object] = {id(buffer): buffer.detach().clone() for buffer in net.buffers()}
    for part in net.modules():
        copies |= {id(v): OrderedDict() for v in vars(part).values() if type(v) is OrderedDict and not v}
    return copy.deepcopy(net, copies)


@dataclass(frozen=True, slots=True)
class Update:
    """An update as a program, and where it leaves its batch and its metrics; each run overwrites both."""

    program: Program
    batch: Batch
    metrics: Metrics


def optimizer_state(optimizers: Mapping[str, SeedOptimizer], seed_index: int) -> dict[str, Tensor]:
    """Name everything the optimizers keep for one seed, ``<network>.<parameter>.<key>``."""
    return {
        f"{net}.{name}": tensor
        for net, optimizer in optimizers.items()
        for name, tensor in optimizer.state(seed_index).items()
    }


def load_optimizer_state(optimizers: Mapping[str, SeedOptimizer], seed_index: int, state: Mapping[str, Tensor]) -> None:
    """Take such a state over."""
    for net, optimizer in optimizers.items():
        prefix = f"{net}."
        optimizer.load_state(seed_index, {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)})


def can_replay(kernel: str, networks: Sequence[Network], optimizers: Sequence[SeedOptimizer]) -> bool:
    """Tell whether all arithmetic of an update is in one kernel, which can note it."""
    return all(n.kernel == kernel for n in networks) and all(isinstance(o, Adam) for o in optimizers)
