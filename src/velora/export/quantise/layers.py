"""The layers of a quantised policy as C: functions of the kinds that there are, and a call for each layer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from velora.export.c.numbers import table
from velora.export.c.templates import fill, parts
from velora.export.quantise.description import Quantised, QuantisedLayer
from velora.export.quantise.memory import memory_of
from velora.export.quantise.packing import (
    TIMED,
    Block,
    Stream,
    fades,
    formula,
    is_listed,
    layer_block,
    widened,
    widest,
)
from velora.export.quantise.text import text
from velora.kernels.layers import Kind

PARAMETERS = {
    "at": "walk *at",
    "input": "const int16_t *input",
    "n_inputs": "int n_inputs",
    "own": "int16_t *own",
    "memory": "int32_t *memory",
    "n": "int n",
    "own_number": "const int32_t *own_number",
    "dt": "uint16_t dt",
}
"""Parameters of a layer's function, by the names of what is given for them."""
_LETTERS = "abcd"


class Layers:
    """The text of layers.

    Attributes:
        used: parts of ``templates/arithmetic.c`` that are called.
        stream: numbers of all layers, in the order in which they are walked through.
        tables: tables of layers that have numbers of their own, and their bytes in ``table_bytes``.

    Args:
        quantised: the policy.
        constants: values of the places in the formulas.
    """

    def __init__(self, quantised: Quantised, constants: Mapping[str, str]) -> None:
        self._q, self._memory, self._constants = quantised, memory_of(quantised), constants
        self.used: set[str] = {"down"}
        self.stream = Stream([], [], [])
        self.tables: list[str] = []
        self.table_bytes = 0
        self._sums: set[tuple[int, bool]] = set()
        by_name: dict[str, list[Block]] = {}
        for layer in quantised.layers:
            by_name.setdefault(_name(layer), []).append(layer_block(layer))
        self._into = {name: widest(blocks) for name, blocks in by_name.items()}
        self._listed = {
            name: [
                is_listed(sides)
                for sides in zip(*(widened(one, self._into[name]).sides for one in blocks), strict=True)
            ]
            for name, blocks in by_name.items()
        }

    def call(self, number: int) -> str:
        """Append a layer's numbers to the stream, and return the call of its function."""
        q, layer = self._q, self._q.layers[number]
        name = _name(layer)
        self.stream.add(widened(layer_block(layer), self._into[name]), self._listed[name])
        begins = number == 0 or q.layers[number - 1].kind is Kind.LSTM
        values = {
            "at": "&at",
            "input": "input" if begins else f"s->state + {self._memory.neuron_at[number - 1]}",
            "n_inputs": str(layer.n_in),
            "own": f"s->state + {self._memory.neuron_at[number]}",
            "memory": f"s->memory + {self._memory.memory_at[number]}",
            "n": str(layer.n),
            "own_number": self._own_numbers(number, layer),
            "dt": "ticks" if q.policy.tells_time else str(1 << q.dt_bits),
        }
        return f"{name}({', '.join(values[one] for one in self._takes(layer))});"

    def functions(self) -> list[str]:
        """Return the C functions of the kinds of layer that there are, after those of the sums that they need."""
        layers = [self._function(layer) for layer in {_name(one): one for one in self._q.layers}.values()]
        return [*(_sums(*key, before=self._q.before) for key in sorted(self._sums)), *layers]

    def sums(self, heads: int, *, listed: bool) -> str:
        """Return the name of the function that adds to sums of so many heads."""
        self._sums.add((heads, listed))
        return _sums_name(heads, listed=listed)

    def _own_numbers(self, number: int, layer: QuantisedLayer) -> str:
        if not layer.numbers:
            return ""
        columns = [*layer.numbers.values()]
        if layer.kind is Kind.CFC_PURE:
            columns.append(np.full(layer.n, layer.shift))
        entries = np.stack(columns, 1).ravel().tolist()
        self.tables.append(table("int32_t", f"own_{number}", map(str, entries)))
        self.table_bytes += 4 * len(entries)
        return f"own_{number}"

    def _takes(self, layer: QuantisedLayer) -> list[str]:
        takes = {
            "n_inputs": not self._listed[_name(layer)][0],
            "memory": layer.kind in (Kind.LSTM, Kind.LSTM_LAYER),
            "own_number": bool(layer.numbers),
            "dt": formula(layer) in TIMED or fades(layer),
        }
        return [one for one in PARAMETERS if takes.get(one, True)]

    def _function(self, layer: QuantisedLayer) -> str:
        """Return the C function of a layer's kind."""
        name, heads = _name(layer), len(layer_block(layer).bias)
        sides = ""
        for read, count, (begin, end), listed in zip(
            ("input", "own"), ("n_inputs", "n"), self._into[name], self._listed[name], strict=False
        ):
            counted, to = "" if listed else f"{count}, ", f"sum + {begin}" if begin else "sum"
            sides += f"        {self.sums(end - begin, listed=listed)}(at, {read}, {counted}{to});\n"
        needs, body = parts(text("layers.c"))[formula(layer)]
        self.used |= needs
        self.used |= {"product", "decay", "stretch"} if fades(layer) else set()
        biases = (
            f"        sum[{k}] = NUMBER(at->numbers + {k}) * (INT32_C(1) << {self._q.after});" for k in range(heads)
        )
        values = {
            "NAME": name,
            "PARAMETERS": ", ".join(PARAMETERS[one] for one in self._takes(layer)),
            "MOST": str(max(one.n for one in self._q.layers if _name(one) == name)),
            "HEADS": str(heads),
            "BIASES": "\n".join(biases),
            "FADE": text("fade.c") if fades(layer) else "",
            "SIDES": sides,
            "FORMULA": fill(body, self._constants),
        }
        return fill(text("layer.c"), values)


def _name(layer: QuantisedLayer) -> str:
    """Return the name of a layer's function."""
    return "gru_d" if fades(layer) else formula(layer)


def _sums_name(heads: int, *, listed: bool) -> str:
    return f"{'listed' if listed else 'full'}_{heads}"


def _sums(heads: int, listed: bool, *, before: int) -> str:
    """Return the C function that adds what a neuron reads to sums of so many heads."""
    letters = _LETTERS[:heads]
    values = {
        "NAME": _sums_name(heads, listed=listed),
        "LISTED": "listed" if listed else "all there",
        "COUNTED": "" if listed else "int n, ",
        "BEGIN": "    const source *from = at->from;\n" if listed else "    const int16_t *const end = x + n;\n",
        "ZEROS": ", ".join(f"{letter} = 0" for letter in letters),
        "LOOP": "source left = SOURCE(from); left != 0; left--" if listed else "; x != end;",
        "VALUE": "x[SOURCE(++from)]" if listed else "*x++",
        "ADDS": "\n".join(f"        ADD_PRODUCT({letter}, w, value);" for letter in letters),
        "HEADS": str(heads),
        "SCALES": "\n".join(
            f"    sum[{k}] += down({letter}, {before}) * NUMBER(scale + {k});" for k, letter in enumerate(letters)
        ),
        "END": "    at->from = from + 1;\n" if listed else "",
    }
    return fill(text("sums.c"), values)
