"""Write the C kernel's tables, ``native/tables.h``, from those in Python.

``setup.py`` does so before it compiles; by hand it is ``python -m velora.kernels.generate``. Needs the standard library
alone, as nothing else is there then.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from velora.kernels.backend import CALLS
from velora.kernels.calls import MOST_TOGETHER, Call, Field
from velora.kernels.layers import MOST_LAYERS, MOST_TENSORS, SYNAPSES, Kind, LayerKind

PATH = Path(__file__).parent / "native" / "tables.h"
NETWORK_CALLS = ("forward", "backward")
"""The calls whose structs are written by hand, in ``native.h``; they come first."""
_LETTERS = {
    "S": "n_seeds", "B": "n_batch", "T": "n_time", "...": "n", "P": "n", "A": "width", "H": "width", "W": "width",
    "C": "capacity",
}  # fmt: skip
_TYPES = {"float32": "float", "float64": "double", "int64": "int64_t"}


def tables() -> str:
    """Make the text of ``native/tables.h``."""
    return "\n\n".join((_HEAD, f"#define TABLES_DIGEST {digest()}u", *_sections(), "#endif")) + "\n"


def digest() -> int:
    """Tell these tables from others, so that a kernel that was built from others isn't used."""
    return zlib.crc32("".join((_HEAD, *_sections())).encode())


def _sections() -> tuple[str, ...]:
    return _layers(), *map(_struct, CALLS.values()), _calls()


_HEAD = f"""\
/* Written by python -m velora.kernels.generate from velora/kernels/layers.py and backend.py. Don't edit. */
#ifndef VELORA_TABLES_H
#define VELORA_TABLES_H

#include <stdint.h>

#define MAX_LAYERS {MOST_LAYERS}
#define MOST_TENSORS {MOST_TENSORS}
#define MOST_TOGETHER {MOST_TOGETHER}

typedef struct {{
    const float *at;
    int64_t seed, batch, time, width;
}} input; /* features lie side by side */"""


def _layers() -> str:
    rows = [f"    {_row(kind.value)}, /* {kind.name}: {kind.value.formula} */" for kind in Kind]
    pairs = [f"    X({kind.name}, {kind.value.function})" for kind in Kind if kind.value.function]
    before = [f"    X({kind.name}, {kind.value.before})" for kind in Kind if kind.value.before]
    return "\n".join(
        (
            f"enum kind {{ {', '.join(kind.name for kind in Kind)} }};",
            f"enum {{ {', '.join(f'LTC_{name.upper()}' for name in SYNAPSES)} }};",
            "",
            "static const struct {",
            "    int heads, kept, n_own, has_state, has_direct_path, changes_old;",
            "} KIND_OF_LAYER[] = {",
            *rows,
            "};",
            "",
            "/* X(kind, function): the kinds that are a pair of functions, function_forward and function_backward. */",
            _macro("PAIRS_OF_FUNCTIONS", pairs),
            "",
            "/* X(kind, before): the kinds whose old state before_forward changes and before_backward takes back. */",
            _macro("CHANGES_OF_OLD_STATES", before),
        )
    )


def _row(row: LayerKind) -> str:
    numbers = row.heads, row.kept, row.n_own, row.has_state, row.has_direct_path, row.before is not None
    return f"{{{', '.join(str(int(number)) for number in numbers)}}}"


def _struct(call: Call) -> str:
    """Declare the arguments of a call: sizes, counts, tensors, floats; each fills 8-byte words."""
    whole = [*(_LETTERS[letter] for letter in call.letters), *call.counts]
    lines = [f"    int64_t {', '.join(whole)};"]
    for name, field in call.fields.items():
        lines.append(f"    {_declaration(name, field)} /* ({', '.join(field.shape)}) */")
    lines += [f"    double {', '.join(call.numbers)};"] if call.numbers else []
    return "\n".join(("typedef struct {", *lines, f"}} {call.name}_args;"))


def _declaration(name: str, field: Field) -> str:
    if field.any_strides:
        return f"input {name};"
    const = "const " if field.use == "reads" else ""
    if field.together:
        return f"int64_t n_{name}; {const}{_TYPES[field.dtype]} *{name}[MOST_TOGETHER];"
    return f"{const}{_TYPES[field.dtype]} *{name};"


def _calls() -> str:
    names = [*NETWORK_CALLS, *CALLS]
    return "\n".join(
        (
            f"enum call_kind {{ {', '.join(name.upper() for name in names)}, N_CALLS }};",
            "",
            "/* X(KIND, call): the calls between networks; call is the function, call_args its arguments. */",
            _macro("CALLS_BETWEEN_NETWORKS", [f"    X({name.upper()}, {name})" for name in CALLS]),
        )
    )


def _macro(name: str, lines: list[str]) -> str:
    return " \\\n".join([f"#define {name}(X)", *lines])


if __name__ == "__main__":
    PATH.write_text(tables())
