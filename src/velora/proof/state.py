"""How the state of a policy lies in memory: read from ``policy.h``, since padding differs from machine to machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import ExportError
from velora.core.types import Array

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

    @property
    def is_float(self) -> bool:
        """Return whether it is the description's state, in float32."""
        return len(self.members) == 1 and self.members[0][1] == "<f4"

    def bits(self, content: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the bytes of states (T, n) without padding.

        Raises:
            ExportError: if they have neither the size of these members nor that with padding.
        """
        rows = np.ascontiguousarray(content)
        fields: Any = [(name, kind, (n,)) for name, kind, n in self.members]
        for layout in (np.dtype(fields), np.dtype(fields, align=True)):
            if layout.itemsize == rows.shape[1]:
                states = rows.view(layout)[:, 0]
                parts = [np.ascontiguousarray(states[name]).view("u1") for name, _, _ in self.members]
                return np.concatenate(parts, 1)
        raise ExportError(f"policy.h: a policy_state of {rows.shape[1]} bytes doesn't hold {self.members}")

    def floats(self, content: NDArray[np.uint8]) -> Array | None:
        """Return states (T, H) of their bytes; ``None`` where they aren't float32."""
        return np.ascontiguousarray(content).view("<f4") if self.is_float else None
