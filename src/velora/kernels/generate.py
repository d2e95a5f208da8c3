"""Write the C kernel's tables, ``native/tables.h``, from those in Python: ``python -m velora.kernels.generate``."""

from __future__ import annotations

from pathlib import Path

from velora.kernels.layers import MOST_LAYERS, MOST_TENSORS, SYNAPSES, Kind, LayerKind

PATH = Path(__file__).parent / "native" / "tables.h"


def tables() -> str:
    """Make the text of ``native/tables.h``."""
    kinds = ", ".join(kind.name for kind in Kind)
    synapses = ", ".join(f"LTC_{name.upper()}" for name in SYNAPSES)
    rows = [f"    {_row(kind.value)}, /* {kind.name}: {kind.value.formula} */" for kind in Kind]
    cases = [f"    X({kind.name}, {kind.value.function})" for kind in Kind if kind.value.function]
    lines = [
        "/* Written by python -m velora.kernels.generate from velora/kernels/layers.py. Don't edit. */",
        "#ifndef VELORA_TABLES_H",
        "#define VELORA_TABLES_H",
        "",
        f"#define MAX_LAYERS {MOST_LAYERS}",
        f"#define MOST_TENSORS {MOST_TENSORS}",
        "",
        f"enum kind {{ {kinds} }};",
        f"enum {{ {synapses} }};",
        "",
        "static const struct {",
        "    int heads, kept, has_state, has_direct_path;",
        "} KIND_OF_LAYER[] = {",
        *rows,
        "};",
        "",
        "/* X(kind, function): the kinds that are a pair of functions, function_forward and function_backward. */",
        "#define PAIRS_OF_FUNCTIONS(X) \\",
        " \\\n".join(cases),
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def _row(row: LayerKind) -> str:
    numbers = row.heads, row.kept, row.has_state, row.has_direct_path
    return f"{{{', '.join(str(int(number)) for number in numbers)}}}"


if __name__ == "__main__":
    PATH.write_text(tables())
