"""How the state of a policy lies in memory, and what its whole numbers are worth.

The members are read from ``policy.h``: padding between them differs from machine to machine. Of a quantised policy,
``calibration.json`` says how many binary places a neuron has.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import ExportError
from velora.export.policy import Policy
from velora.export.quantise.arithmetic import MEMORY_BITS
from velora.kernels.layers import Kind

_STRUCT: Final = re.compile(r"typedef struct \{(?P<members>[^}]*)\} policy_state;")
_MEMBER: Final = re.compile(r"(?P<kind>\w+) (?P<name>\w+)\[(?P<size>\w+)\];")
_KINDS: Final = {"float": "<f4", "int8_t": "i1", "int16_t": "<i2", "int32_t": "<i4"}


@dataclass(frozen=True, slots=True)
class StateLayout:
    """Members of the state, in order: name, type and how many."""

    members: tuple[tuple[str, str, int], ...]

    @classmethod
    def read(cls, header: Path, n_state: int) -> StateLayout:
        """Read it from a header.

        Args:
            n_state: what ``POLICY_STATES`` stands for.

        Raises:
            ExportError: if there is none that is understood.
        """
        struct = _STRUCT.search(header.read_text(encoding="utf-8"))
        found = [] if struct is None else list(_MEMBER.finditer(struct["members"]))
        if not found or any(one["kind"] not in _KINDS for one in found):
            raise ExportError(f"{header}: expected a policy_state of arrays; export the policy again with this version")
        sizes = [n_state if one["size"] == "POLICY_STATES" else int(one["size"]) for one in found]
        return cls(tuple((one["name"], _KINDS[one["kind"]], n) for one, n in zip(found, sizes, strict=True)))

    def bits(self, content: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the bytes of states (T, n) without padding.

        Raises:
            ExportError: if they have neither the size of these members nor that with padding.
        """
        return np.concatenate([part.view("u1") for part in self._parts(content)], 1)

    def numbers(self, content: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the numbers of states (T, H), member after member.

        Raises:
            ExportError: as :meth:`bits`.
        """
        return np.concatenate([part.astype(np.float64) for part in self._parts(content)], 1)

    def _parts(self, content: NDArray[np.uint8]) -> list[NDArray[Any]]:
        rows = np.ascontiguousarray(content)
        fields: Any = [(name, kind, (n,)) for name, kind, n in self.members]
        for layout in (np.dtype(fields), np.dtype(fields, align=True)):
            if layout.itemsize == rows.shape[1]:
                states = rows.view(layout)[:, 0]
                return [np.ascontiguousarray(states[name]) for name, _, _ in self.members]
        raise ExportError(f"policy.h: a policy_state of {rows.shape[1]} bytes doesn't hold {self.members}")


@dataclass(frozen=True, slots=True)
class StateUnits:
    """Where the numbers of the description's state lie among those of the members, and what 1 of each is worth.

    Shapes:
        places, units: (H,).
    """

    places: NDArray[np.int64]
    units: NDArray[np.float64]

    @classmethod
    def read(cls, directory: Path, policy: Policy) -> StateUnits:
        """Find them out of an exported directory.

        Raises:
            ExportError: if its ``calibration.json`` isn't one.
        """
        path, n = directory / "calibration.json", policy.n_state
        if not path.exists():  # of floats the state is the description's
            return cls(np.arange(n), np.ones(n))
        try:
            bits = [int(one) for one in json.loads(path.read_text(encoding="utf-8"))["state_bits"]]
            layers = list(zip(policy.layers, bits, strict=True))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ExportError(f"{path}: doesn't say state_bits of every layer; export the policy again") from error
        is_memory, units = np.zeros(n, bool), np.ones(n)
        for layer, digits in layers:
            units[layer.state_at : layer.state_at + layer.n] = 2.0**-digits
        for layer in (one for one in policy.layers if one.kind in (Kind.LSTM, Kind.LSTM_LAYER)):
            begin = layer.n if layer.kind is Kind.LSTM else layer.state_at - layer.n
            is_memory[begin : begin + layer.n] = True
        units[is_memory] = 2.0**-MEMORY_BITS
        places = np.empty(n, np.int64)
        places[np.flatnonzero(~is_memory)] = np.arange(n - is_memory.sum())
        places[np.flatnonzero(is_memory)] = np.arange(n - is_memory.sum(), n)
        return cls(places, units)

    def of(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return states (T, H) as the description has them."""
        return numbers[:, self.places] * self.units
