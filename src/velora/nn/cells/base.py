"""Base of all recurrent cells: one step from (input, state, elapsed time) to the next state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeAlias

from torch import Tensor, nn

from velora.core.errors import SettingError, ShapeError

Weights: TypeAlias = tuple[Any, ...]
"""What a cell forms from its parameters once per unroll. Only the cell that made it knows what is inside."""


class Cell(nn.Module, ABC):
    """Advance the recurrent state of S seeds by one step.

    The state goes in as an argument and comes out as the result; a cell remembers nothing. All parameters and
    buffers carry the leading axis S.

    Shapes:
        x: (S, B, input_size). h: (S, B, state_size). dt: (S, B), time since the previous input, >= 0.

    Args:
        input_size: features of one input.
        state_size: numbers in the state of one sample.
        output_size: features of the readout.
        n_seeds: seeds side by side.
        is_bounded: whether the readout lies in [-1, 1] by construction.

    Attributes:
        takes_time: whether the elapsed time acts inside the cell; one that ignores ``dt`` says no.
        is_circuit: whether the cell is one set of equations over all neurons of a wiring, made from ``(wirings,
            generators)``; others are layers, made from ``(input_size, units, generators, *, mask)``.
        mode: form of the cell, one of those in its row of the registry.
        is_plain: whether the cell is as its row says, without parts that kernels don't know.
        unfolds: sub-steps of one step.

    Raises:
        SettingError: if a size is below 1.
    """

    takes_time: ClassVar[bool] = True
    is_circuit: ClassVar[bool] = False
    mode: str = "default"
    is_plain: bool = True
    unfolds: int = 1

    def __init__(
        self, input_size: int, state_size: int, output_size: int, *, n_seeds: int, is_bounded: bool = False
    ) -> None:
        super().__init__()
        for name, size in (("input_size", input_size), ("state_size", state_size), ("output_size", output_size)):
            if size < 1:
                raise SettingError(f"{name}: expected at least 1, got {size}")
        self.input_size = input_size
        self.state_size = state_size
        self.output_size = output_size
        self.n_seeds = n_seeds
        self.is_bounded = is_bounded

    @abstractmethod
    def weights(self) -> Weights:
        """Form what :meth:`step` needs (masked, transposed, constrained), once for many steps."""

    @abstractmethod
    def step(self, weights: Weights, x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        """Advance the state by one input. Shapes are not checked here: this is the innermost loop."""

    def readout(self, h: Tensor) -> Tensor:
        """Return the part of the state that is the output: its last ``output_size`` numbers.

        Shapes:
            h: (S, ..., state_size). Returns (S, ..., output_size).
        """
        return h if self.output_size == self.state_size else h[..., -self.output_size :]

    def initial_state(self, batch: int) -> Tensor:
        """Return the state before the first input: zeros (S, batch, state_size)."""
        return next(self.parameters()).new_zeros(self.n_seeds, batch, self.state_size)

    def forward(self, x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        """Check the shapes, then take one step.

        Raises:
            ShapeError: if x, h or dt isn't shaped as the class says.
        """
        self.check(x, h, dt)
        return self.step(self.weights(), x, h, dt)

    def check(self, x: Tensor, h: Tensor, dt: Tensor) -> None:
        """Refuse an input, state or time of the wrong shape.

        Raises:
            ShapeError: naming the tensor, with the expected and the received shape.
        """
        if x.dim() != 3 or x.shape[0] != self.n_seeds or x.shape[2] != self.input_size:
            raise ShapeError(
                f"x: expected (seeds, batch, features) = ({self.n_seeds}, B, {self.input_size}), got {tuple(x.shape)}"
            )
        batch = x.shape[1]
        if h.shape != (self.n_seeds, batch, self.state_size):
            raise ShapeError(
                f"h: expected (seeds, batch, state) = {(self.n_seeds, batch, self.state_size)}, got {tuple(h.shape)}"
            )
        if dt.shape != (self.n_seeds, batch):
            raise ShapeError(f"dt: expected (seeds, batch) = {(self.n_seeds, batch)}, got {tuple(dt.shape)}")
