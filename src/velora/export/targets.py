"""The formats that a policy can be exported to, one row each. A new one is a file with a function, and a row here.

This module imports no PyTorch, so that the help of a command needs none.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from velora.core.errors import ExportError
from velora.core.extras import how_to_install
from velora.core.names import did_you_mean
from velora.export.progress import Progress, Silent

if TYPE_CHECKING:
    from velora.checkpoint import Checkpoint
    from velora.export.policy import Policy
    from velora.models.agent import Agent


@dataclass(frozen=True, slots=True)
class Options:
    """What a target is told besides the policy.

    Attributes:
        dtype: of its numbers, one of those in the target's row.
        agent: that the policy describes, for what has to play episodes with it.
        checkpoint: where the agent was loaded from; ``None`` for one in memory.
        given: the target's own options that were given, by name, as text.
        progress: is told how far it is, by a target that takes long.
    """

    dtype: str
    agent: Agent
    checkpoint: Checkpoint | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = field(default_factory=Silent)


Write: TypeAlias = "Callable[[Policy, Path, Options], Mapping[str, str] | None]"
"""Function that writes a policy to a path at which nothing is; the caller moves that to its place once it is whole, so
a failure leaves nothing. It may return lines to print, by a name; a directory's manifest keeps them as notes."""


@dataclass(frozen=True, slots=True)
class Target:
    """Row of the list.

    Attributes:
        name: value of ``to=``.
        summary: what it writes, in one line.
        place: its function of type :data:`Write`, as ``"module:function"``, imported when it is used.
        places: the functions of dtypes that have another one.
        out: where it writes by default; a directory ends in a slash.
        dtypes: values of ``dtype=``, the default first.
        options: options of its own, with their meanings and defaults in words.
        options_of: the dtypes that these are for; empty for all.
        needs: package that has to be installed, and the extra of Velora that brings it.
        after: how to go on; ``{out}`` stands for what was written.
    """

    name: str
    summary: str
    place: str
    out: str
    dtypes: tuple[str, ...] = ("float32",)
    options: Mapping[str, str] = field(default_factory=dict)
    options_of: tuple[str, ...] = ()
    needs: tuple[str, str] | None = None
    after: str = ""
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_directory(self) -> bool:
        """Return whether it writes a directory; the others write one file."""
        return self.out.endswith("/")

    def load(self, dtype: str = "") -> Write:
        """Import the function that writes numbers of a dtype.

        Raises:
            ExportError: if a package that it needs isn't installed.
        """
        if self.needs is not None and importlib.util.find_spec(self.needs[0]) is None:
            package, extra = self.needs
            raise ExportError(f"to={self.name}: needs {package}, which isn't installed; {how_to_install(extra)}")
        module, _, name = self.places.get(dtype, self.place).partition(":")
        write: Write = getattr(importlib.import_module(module), name)
        return write

    def check(self, dtype: str, given: Mapping[str, str]) -> None:
        """Check what was asked for.

        Raises:
            ExportError: if the target has no such dtype or option, or the option does nothing to that dtype.
        """
        if dtype not in self.dtypes:
            others = " or ".join(f"to={row.name}" for row in TARGETS.values() if dtype in row.dtypes)
            hint = did_you_mean(dtype, self.dtypes, f"only {others} has {dtype}" if others else "leave dtype out")
            raise ExportError(f"dtype={dtype}: to={self.name} has {' and '.join(self.dtypes)}; {hint}")
        for name in given:
            if name not in self.options:
                known = ("to", "dtype", "out", "overwrite", *self.options)
                hint = did_you_mean(name, known, f"expected one of {', '.join(known)}")
                raise ExportError(f"{name}: to={self.name} has no such option; {hint}")
            if self.options_of and dtype not in self.options_of:
                others = " or ".join(f"dtype={one}" for one in self.options_of)
                raise ExportError(f"{name}: does nothing to dtype={dtype}; leave it out, or add {others}")


QUANTISED = ("int8", "int16")
"""Values of ``dtype=`` that are weights of a policy in whole numbers."""

_LISTED = (
    Target(
        "onnx",
        "ONNX, one file for onnxruntime and whatever else reads it; a batch of any size",
        "velora.export.onnx.target:write_onnx",
        out="policy.onnx",
        needs=("onnx", "onnx"),
        after='in Python: onnxruntime.InferenceSession("{out}")',
    ),
    Target(
        "torch",
        "a program of torch.export, one file that PyTorch loads without Velora",
        "velora.export.torch_program:write_torch",
        out="policy.pt2",
        after='in Python: torch.export.load("{out}").module()',
    ),
    Target(
        "c",
        "C99 without malloc, libm or global state: policy.h, policy.c, an example and a Makefile",
        "velora.export.c.target:write_c",
        out="policy/",
        dtypes=("float32", *QUANTISED),
        options={
            "episodes": "int8: episodes of the environment that it is calibrated by, 10",
            "seed": "int8: of those episodes, 0",
            "judge": "int8: episodes that it is compared with the agent by, 100; 0 for none",
            "limit": "int8: what the median episode may lose, 0.5 or 1 % of the usual return",
            "env": "int8: id of another environment to calibrate in",
        },
        options_of=QUANTISED,
        places=dict.fromkeys(QUANTISED, "velora.export.quantise.target:write_quantised"),
        after="velora prove {out} target=cortex-m4 episodes=10",
    ),
)
TARGETS = {target.name: target for target in _LISTED}
"""Every target by its name, in the order of the help."""


def find_target(name: str) -> Target:
    """Return the target of a name.

    Raises:
        ExportError: if there is none.
    """
    if name not in TARGETS:
        hint = did_you_mean(name, TARGETS, f"expected one of {', '.join(TARGETS)}")
        raise ExportError(f"to={name}: no such target; {hint}")
    return TARGETS[name]
