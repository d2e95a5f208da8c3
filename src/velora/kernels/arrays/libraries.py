"""The namespaces of NumPy and PyTorch."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from velora.kernels.arrays.blas import Quietly
from velora.kernels.arrays.namespace import Emit, Namespace, Values
from velora.kernels.recording_guard import unguarded

# ------------------------------------------------------------------------------------------------------------- NumPy


def _np_copy(a: Values, out: Values) -> None:
    out[...] = a  # the fastest way, by far


def _np_fill(value: float, out: Values) -> None:
    out.fill(value)


def _np_take(flat: Values, index: Values, out: Values) -> None:
    flat.take(index, None, out, "clip")  # "raise" would copy once more


def _np_minimum(a: Values, b: Values, out: Values) -> None:
    np.minimum(a, b, out=out)  # the place of the result by position is deprecated, for these two


def _np_maximum(a: Values, b: Values, out: Values) -> None:
    np.maximum(a, b, out=out)


def _np_erase(where: Values, out: Values) -> None:
    if np.count_nonzero(where):
        out[where] = 0.0


def _np_sum_first(a: Values, out: Values) -> None:
    np.add.reduce(a, 0, None, out)


def _np_sum_last(a: Values, out: Values) -> None:
    np.add.reduce(a, -1, None, out)


@final
class NumpyNamespace(Namespace):
    """NumPy on the CPU. Its operations are its ufuncs, whose dispatch costs a third of PyTorch's.

    NumPy has no logistic function, and its tanh is several times slower than its exp, so that both are made of exp.
    """

    name = "numpy"
    sign = -1.0
    add, subtract, multiply, divide = np.add, np.subtract, np.multiply, np.divide
    power, matmul = np.power, np.matmul
    minimum, maximum = staticmethod(_np_minimum), staticmethod(_np_maximum)
    exp, log, sqrt, absolute, direction = np.exp, np.log, np.sqrt, np.absolute, np.sign
    greater, keep_bits, dot, softplus = np.greater, np.bitwise_and, np.vecdot, np.logaddexp
    copy, fill, take = staticmethod(_np_copy), staticmethod(_np_fill), staticmethod(_np_take)
    erase = staticmethod(_np_erase)
    sum_first, sum_last = staticmethod(_np_sum_first), staticmethod(_np_sum_last)

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self._dtype: Any = np.float32 if dtype == torch.float32 else np.float64
        self._whole: Any = np.int32 if dtype == torch.float32 else np.int64
        self._numbers: dict[float, Values] = {}
        self.zero, self.half, self.one, self.two = (self.number(v) for v in (0.0, 0.5, 1.0, 2.0))
        self._last_bit = np.array(np.dtype(self._whole).itemsize * 8 - 1, self._whole)

    def sign_bits(self, a: Values, out: Values) -> None:
        """See :class:`Namespace`."""
        np.right_shift(a, self._last_bit, out)

    def logistic(self, do: Emit, z: Values) -> None:
        """See :class:`Namespace`."""
        do(np.exp, z, z)
        do(np.add, z, self.one, z)
        do(np.divide, self.one, z, z)

    def rectify(self, do: Emit, z: Values, out: Values) -> None:
        """See :class:`Namespace`. NumPy's maximum isn't vectorised everywhere; this is twice as fast."""
        do(np.absolute, z, out)
        do(np.add, z, out, out)
        do(np.multiply, out, self.half, out)

    def empty(self, *shape: int) -> Values:
        """See :class:`Namespace`."""
        return np.empty(shape, self._dtype)

    def zeros(self, *shape: int) -> Values:
        """See :class:`Namespace`."""
        return np.zeros(shape, self._dtype)

    def truths(self, *shape: int) -> Values:
        """See :class:`Namespace`."""
        return np.empty(shape, np.bool_)

    def number(self, value: float) -> Values:
        """See :class:`Namespace`."""
        if value not in self._numbers:
            self._numbers[value] = np.array(value, self._dtype)
        return self._numbers[value]

    def constant(self, values: np.ndarray[Any, Any]) -> Values:
        """See :class:`Namespace`."""
        return np.ascontiguousarray(values, np.int64 if values.dtype.kind in "iu" else self._dtype)

    def doubles(self) -> Namespace:
        """See :class:`Namespace`."""
        return NumpyNamespace(torch.float64)

    def bits(self, a: Values) -> Values:
        """See :class:`Namespace`."""
        return a.view(self._whole)

    def view(self, tensor: Tensor) -> Values:
        """See :class:`Namespace`."""
        return tensor.detach().numpy()

    def tensor(self, a: Values) -> Tensor:
        """See :class:`Namespace`."""
        return torch.from_numpy(a)

    def quietly(self) -> AbstractContextManager[object]:
        """See :class:`Namespace`."""
        return Quietly()


# ------------------------------------------------------------------------------------------------------------- torch


def _out(function: Any) -> Any:
    """Let an operation of PyTorch take the place of its result last."""
    return staticmethod(lambda *arguments: function(*arguments[:-1], out=arguments[-1]))


def _torch_erase(where: Tensor, out: Tensor) -> None:
    if where.device.type != "cpu" or bool(where.any()):  # looking would wait for a GPU
        out.masked_fill_(where.unsqueeze(1), 0.0)


@final
class TorchNamespace(Namespace):
    """PyTorch on any device: the reference, and what runs on a GPU. Nothing in it waits for the device."""

    name = "torch"
    sign = 1.0
    add, subtract, multiply, divide = _out(torch.add), _out(torch.sub), _out(torch.mul), _out(torch.div)
    power, matmul = _out(torch.pow), _out(torch.matmul)
    minimum, maximum = _out(torch.minimum), _out(torch.maximum)
    exp, log, sqrt = _out(torch.exp), _out(torch.log), _out(torch.sqrt)
    absolute, direction = _out(torch.abs), _out(torch.sign)
    greater, keep_bits = _out(torch.gt), _out(torch.bitwise_and)
    dot, softplus, take = _out(torch.linalg.vecdot), _out(torch.logaddexp), _out(torch.take)
    copy = staticmethod(lambda a, out: out.copy_(a))
    fill = staticmethod(lambda value, out: out.fill_(value))
    erase = staticmethod(_torch_erase)
    sum_first = staticmethod(lambda a, out: torch.sum(a, 0, out=out))
    sum_last = staticmethod(lambda a, out: torch.sum(a, -1, out=out))

    def __init__(self, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> None:
        self._dtype, self._device = dtype, torch.device(device)
        self.cuda = self._device if self._device.type == "cuda" else None
        self._whole = torch.int32 if dtype == torch.float32 else torch.int64
        self._numbers: dict[float, Values] = {}
        self._last_bit = 31 if dtype == torch.float32 else 63
        self.zero, self.half, self.one, self.two = (self.number(v) for v in (0.0, 0.5, 1.0, 2.0))

    def sign_bits(self, a: Values, out: Values) -> None:
        """See :class:`Namespace`."""
        torch.bitwise_right_shift(a, self._last_bit, out=out)

    def logistic(self, do: Emit, z: Values) -> None:
        """See :class:`Namespace`."""
        do(torch.sigmoid_, z)

    def rectify(self, do: Emit, z: Values, out: Values) -> None:
        """See :class:`Namespace`."""
        do(_clamp, z, out)

    def empty(self, *shape: int) -> Values:
        """See :class:`Namespace`."""
        return self.zeros(*shape)

    def zeros(self, *shape: int) -> Values:
        """See :class:`Namespace`. Never in inference mode, which would make memory that nothing else may write to."""
        with torch.inference_mode(False):
            return torch.zeros(shape, dtype=self._dtype, device=self._device)

    def truths(self, *shape: int) -> Values:
        """See :class:`Namespace`."""
        with torch.inference_mode(False):
            return torch.zeros(shape, dtype=torch.bool, device=self._device)

    def number(self, value: float) -> Values:
        """See :class:`Namespace`."""
        if value not in self._numbers:  # making one waits for a GPU
            with torch.inference_mode(False):
                self._numbers[value] = torch.tensor(value, dtype=self._dtype, device=self._device)
        return self._numbers[value]

    def constant(self, values: np.ndarray[Any, Any]) -> Values:
        """See :class:`Namespace`."""
        with torch.inference_mode(False), unguarded():
            dtype = torch.int64 if values.dtype.kind in "iu" else self._dtype
            return torch.tensor(values, dtype=dtype, device=self._device)

    def doubles(self) -> Namespace:
        """See :class:`Namespace`."""
        return self if self._device.type == "mps" else TorchNamespace(torch.float64, self._device)

    def bits(self, a: Values) -> Values:
        """See :class:`Namespace`."""
        return a.view(self._whole)

    def view(self, tensor: Tensor) -> Values:
        """See :class:`Namespace`."""
        return tensor.detach()

    def tensor(self, a: Values) -> Tensor:
        """See :class:`Namespace`."""
        return a  # type: ignore[no-any-return]

    def quietly(self) -> AbstractContextManager[object]:
        """See :class:`Namespace`."""
        return torch.no_grad()


def _clamp(z: Tensor, out: Tensor) -> None:
    torch.clamp(z, min=0.0, out=out)


def namespace(kernel: str, dtype: torch.dtype, device: torch.device) -> Namespace:
    """Choose by a kernel's name, ``"numpy"`` or ``"torch"``."""
    if kernel == "numpy":
        return NumpyNamespace(dtype)
    return TorchNamespace(dtype, device)
