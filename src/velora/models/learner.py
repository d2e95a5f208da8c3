"""Learner of an agent: networks in flat memory, their optimizers, and the update as a recorded program."""

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
from velora.kernels.arrays.program import do
from velora.kernels.backend import Program
from velora.kernels.recording_guard import guarded
from velora.models.guard import Guard, Judged
from velora.models.held_networks import HeldNetworks, Networks
from velora.models.optimizers import Adam, OptimizerKind, SeedOptimizer
from velora.nn.flat import FlatParameters
from velora.nn.parameters import Scalar
from velora.nn.run.autograd import write_gradient
from velora.nn.run.make import make_network
from velora.nn.run.network import Network
from velora.nn.run.without_time import Timeless
from velora.training.hook_table import HookTable

Step: TypeAlias = Callable[[Batch], Metrics]

_LARGEST_NORM = 1e19
"""Norm of a gradient that isn't clipped to any smaller one: its squares, which Adam averages, are finite in float32."""
_MOST_PROGRAMS = 8
"""Programs that are kept; each has memory of its own."""


class Source(Protocol):
    """Source of a program's batch."""

    def gather(self, uniform: Values, length: int, device: torch.device) -> Batch:
        """See :class:`velora.buffers.ReplayBuffer`."""
        ...


class Learner:
    """Trained networks and their targets, with what improves them.

    Args:
        followed: which of them have a target.
        tells_time: whether cells are told how much time has passed; if not, every step takes them 1.

    Attributes:
        modules: every network by name, ``target_<name>`` beside ``<name>``.
        flats: the parameters of each.
        rows: positions on the seed axis that learn from the next update.
        guard: keeps steps from being made of losses and gradients that aren't finite.
        held: follows what is done to the networks from outside.
        norms: the newest norm of every network's gradient before clipping, (S,) each; ``None`` if nobody asks.
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
        self.kernel, self.device, self.tells_time = kernel, device, tells_time
        self.backend = make_backend(kernel, device)
        self._followed = tuple(followed)
        trained = {name: net.to(device) for name, net in trained.items()}
        targets = {f"target_{name}": _copied(trained[name]).requires_grad_(False) for name in self._followed}
        self.modules = Networks({**trained, **targets})
        self.flats = {name: FlatParameters(net, is_trained=name in trained) for name, net in self.modules.items()}
        self._networks: dict[str, Network] = {}
        self.n_seeds = next(iter(self.flats.values())).n_seeds
        self.rows: tuple[int, ...] = tuple(range(self.n_seeds))
        self.guard = Guard(self.n_seeds, device)
        self.optimizers: dict[str, SeedOptimizer] = {}
        self._loaded: dict[int, dict[str, Tensor]] = {}
        self._programs, self._is_recording, self._judged = dict[Hashable, Update](), False, list[Judged]()
        self.norms: dict[str, Tensor] | None = None
        self.held = HeldNetworks(self.flats, on_other_wiring=self._follow_wiring)

    @property
    def networks(self) -> dict[str, Network]:
        """Every network as an update runs it, prepared when one is first needed; a ``Scalar`` isn't run."""
        if not self._networks:
            self.held.take_over()  # plans go by how parameters are ordered
            with torch.inference_mode(False):  # acting may be first
                self._networks = {n: self._network(n) for n, m in self.modules.items() if not isinstance(m, Scalar)}
        return self._networks

    def _network(self, name: str) -> Network:
        network = make_network(self.modules[name], self.flats[name], self.kernel)  # type: ignore[arg-type]
        return network if self.tells_time else Timeless(network)

    def _follow_wiring(self) -> None:
        """Record updates anew, and let no moment move what is switched off now."""
        self._programs.clear()
        for name, optimizer in self.optimizers.items():
            if (mask := self.flats[name].mask) is not None:
                optimizer.forget(mask)

    def make_optimizers(self, kind: OptimizerKind, rates: Mapping[str, float]) -> dict[str, SeedOptimizer]:
        """Build one optimizer for each trained network at the first call, with the state that was loaded for it."""
        if not self.optimizers:
            make, sound = kind.make, self.guard.sound
            self.optimizers = {name: make(self.flats[name], rate, self.backend, sound) for name, rate in rates.items()}
            for k, state in self._loaded.items():
                self.load_optimizer_state(state, k)
            self._loaded = {}
            self._follow_wiring()  # another one may have been made before
        return self.optimizers

    def optimizer_state(self, seed_index: int) -> dict[str, Tensor]:
        """Name everything the optimizers keep for one seed, ``<network>.<parameter>.<key>``; empty before an update."""
        if not self.optimizers:
            return self._loaded.get(seed_index, {})
        return {
            f"{net}.{name}": tensor
            for net, optimizer in self.optimizers.items()
            for name, tensor in optimizer.state(seed_index).items()
        }

    def load_optimizer_state(self, state: Mapping[str, Tensor], seed_index: int) -> None:
        """Take such a state over; the optimizers themselves are built when training needs them."""
        if not self.optimizers:
            self._loaded[seed_index] = dict(state)
        for net, optimizer in self.optimizers.items():
            prefix = f"{net}."
            own = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
            optimizer.load_state(seed_index, own)

    def optimize(
        self, name: str, loss: Tensor, backward: Callable[[], None] | None, hooks: HookTable, clip: float | None
    ) -> None:
        """Take one optimizer step of one network; see :meth:`velora.models.Agent.optimize`."""
        optimizer, flat = self.optimizers[name], self.flats[name]
        assert flat.gradient is not None
        for hook in hooks.on_before_zero_grad:
            hook(optimizer)
        if not self._is_recording:  # replaying overwrites the gradient
            optimizer.zero_grad()
        if hooks.on_before_backward:
            total = loss.sum()
            for hook in hooks.on_before_backward:
                hook(total)
        if backward is None:
            write_gradient(loss, torch.ones_like(loss), list(self.modules[name].parameters()), flat)
        else:
            backward()
        if hooks.on_after_backward or hooks.on_before_optimizer_step:
            self.held.show_gradients(name)
        for hook in hooks.on_after_backward:
            hook()
        if hooks.on_after_backward:
            self.held.follow_gradients(name)
        norms = self.backend.clip(flat.gradient, max_norm=_LARGEST_NORM if clip is None else clip)
        if self.norms is not None:
            self.norms[name] = norms
        for hook in hooks.on_before_optimizer_step:
            hook(optimizer)
        if hooks.on_before_optimizer_step:  # which may have changed the gradient
            self.held.follow_gradients(name)
            norms = self.backend.clip(flat.gradient, max_norm=_LARGEST_NORM)
        self.backend.judge(loss, norms, self.guard.sound, rows=self.rows)
        judged = Judged(name, loss, norms)
        if self._is_recording:
            self._judged.append(judged)
        else:
            self.guard.look(judged)
            optimizer.prepare()
        optimizer.step(self.rows)

    def follow(self, tau: float) -> None:
        """Move every target towards its network."""
        for name in self._followed:
            target, source = self.flats[f"target_{name}"].values, self.flats[name].values
            self.backend.follow(target, source, self.guard.sound, tau=tau, rows=self.rows)

    def program(self, kind: Hashable, length: int, source: Source, uniform: Values, training_step: Step) -> Update:
        """Record an update as a program at the first call, without computing it, and return it from then on.

        On the CPU, PyTorch raises on anything in the step that computes outside of the recorded backend; see
        :class:`velora.kernels.recording_guard.RecordingGuard`, which also says what it can't see.

        Shapes:
            uniform: (S, B), which windows to sample; the same memory at every call.

        Args:
            kind: sets updates apart that do different things.
            source: of the batch.
            training_step: the update; all its arithmetic is calls of networks, backend and optimizers.

        Raises:
            RecordingError: if the step computes anything else.
        """
        key = kind, source, uniform.shape[1], length, self.rows if self.backend.records_rows else ()
        update = self._programs.get(key)
        if update is None:
            if len(self._programs) >= _MOST_PROGRAMS:
                self._programs.clear()
            update = self._programs[key] = self._record(length, source, uniform, training_step)
        for optimizer in self.optimizers.values():
            optimizer.prepare()
        return update

    def _record(self, length: int, source: Source, uniform: Values, training_step: Step) -> Update:
        _ = self.networks  # which are prepared outside of the recording
        program = self.backend.program()
        self._is_recording, self._judged = True, []
        try:
            with program.record():
                batch = source.gather(uniform, length, self.device)
                with guarded(training_step, self.device):
                    metrics = training_step(batch)
                if self.guard.is_far:
                    do(self.guard.send)
        finally:
            self._is_recording = False
        return Update(program, batch, metrics, self._judged)


def _copied(net: nn.Module) -> nn.Module:
    """Copy a network: as ``deepcopy``, which is slow with buffers and with the dozen empty tables of every module."""
    copies: dict[int, object] = {id(buffer): buffer.detach().clone() for buffer in net.buffers()}
    for part in net.modules():
        copies |= {id(v): OrderedDict() for v in vars(part).values() if type(v) is OrderedDict and not v}
    return copy.deepcopy(net, copies)


@dataclass(frozen=True, slots=True)
class Update:
    """An update as a program, and where it leaves its batch, its metrics and what was judged, at every run anew."""

    program: Program
    batch: Batch
    metrics: Metrics
    judged: Sequence[Judged]


def can_record(kernel: str, networks: Sequence[Network], optimizers: Sequence[SeedOptimizer]) -> bool:
    """Return whether all arithmetic of an update is in one kernel, which can record it."""
    return all(n.kernel == kernel for n in networks) and all(isinstance(o, Adam) for o in optimizers)
