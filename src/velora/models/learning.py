"""What an agent learns with: networks in flat memory, their optimizers, and the update as a program."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from velora.buffers import Batch, ReplayBuffer
from velora.core.types import Metrics
from velora.models.optimizers import Adam, OptimizerKind, SeedOptimizer
from velora.nn.execution import Network, make_network, write_gradient
from velora.nn.flat import FlatParameters
from velora.ops.backend import Program
from velora.ops.backends import make_backend
from velora.training.hooks import HookTable


class Learner:
    """Hold the trained networks and their targets, and improve them.

    Attributes:
        modules: every network by name, ``target_<name>`` beside ``<name>``.
        networks: the same, as an update runs them.
        rows: positions on the seed axis that still learn.
    """

    def __init__(self, trained: Mapping[str, nn.Module], device: torch.device, kernel: str) -> None:
        self.kernel, self.device = kernel, device
        self.backend = make_backend(kernel, device)
        targets = {f"target_{name}": copy.deepcopy(net).requires_grad_(False) for name, net in trained.items()}
        self.modules: dict[str, nn.Module] = {**trained, **targets}
        self.networks: dict[str, Network] = {}
        for name, module in self.modules.items():
            flat = FlatParameters(module.to(device), is_trained=name in trained)
            self.networks[name] = make_network(module, flat, kernel)  # type: ignore[arg-type]
        self.n_seeds = next(iter(self.networks.values())).flat.n_seeds
        self.rows: tuple[int, ...] = tuple(range(self.n_seeds))
        self.optimizers: dict[str, SeedOptimizer] = {}
        self._trained = tuple(trained)
        self._programs: dict[tuple[int, int, tuple[int, ...]], _Update] = {}

    def masks_changed(self) -> None:
        """Follow masks that were loaded into the modules."""
        for network in self.networks.values():
            network.flat.apply_mask()
        self.forget_programs()

    def make_optimizers(self, kind: OptimizerKind, rates: Mapping[str, float]) -> None:
        """Build one optimizer for each trained network."""
        self.optimizers = {
            name: kind.make(self.networks[name].flat, rate, self.backend) for name, rate in rates.items()
        }

    def optimize(
        self, name: str, loss: Tensor, backward: Callable[[], None] | None, hooks: HookTable, clip: float | None
    ) -> None:
        """Take one optimizer step of one network; see :meth:`velora.models.Agent.optimize`."""
        optimizer, flat = self.optimizers[name], self.networks[name].flat
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
        for name in self._trained:
            target, source = self.networks[f"target_{name}"].flat.values, self.networks[name].flat.values
            self.backend.follow(target, source, tau=tau, rows=self.rows)

    def replay(
        self,
        batch_size: int,
        length: int,
        buffer: ReplayBuffer,
        draw: Callable[[Tensor], None],
        training_step: Callable[[Batch], Metrics],
        *,
        threads: int,
    ) -> tuple[Metrics, Batch]:
        """Make one update as a program, which is noted at the first call.

        Args:
            draw: fills (S, B) with the rows at which the windows of the next batch begin.
            training_step: the update; all its arithmetic is calls of networks, backend and optimizers.

        Returns:
            The metrics and the batch; the next update overwrites both.
        """
        key = batch_size, length, self.rows
        update = self._programs.get(key)
        if update is None:
            starts, program = torch.zeros(self.n_seeds, batch_size, dtype=torch.int64), self.backend.program()
            with program.record():
                batch = buffer.gather(starts, length, self.device)
                metrics = training_step(batch)
            self.forget_programs()  # it is never many that are in use
            update = self._programs[key] = _Update(program, starts, batch, metrics)
        draw(update.starts)
        for optimizer in self.optimizers.values():
            optimizer.prepare()
        update.program.run(self.rows, min(threads, len(self.rows)))
        return update.metrics, update.batch

    def forget_programs(self) -> None:
        """Note updates anew, as when memory that they use has been replaced."""
        self._programs.clear()


@dataclass(frozen=True, slots=True)
class _Update:
    program: Program
    starts: Tensor
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
