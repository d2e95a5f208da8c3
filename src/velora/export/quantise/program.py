"""The file policy.c of a quantised policy: tables, functions and the step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velora.envs.actions import ActionBounds
from velora.export.c.numbers import literal, rows, table
from velora.export.c.templates import closure, fill
from velora.export.quantise import arithmetic
from velora.export.quantise.description import Quantised
from velora.export.quantise.layers import Layers
from velora.export.quantise.memory import memory_of
from velora.export.quantise.packing import Stream, block, is_listed
from velora.export.quantise.text import text

_TICKS = (
    "const int32_t rounded = scaled >= 65535.0f ? INT32_C(65535) : scaled <= 1.0f ? 1 : (int32_t)(scaled + 0.5f);",
    "const uint16_t ticks = (uint16_t)rounded;",
)


@dataclass(frozen=True, slots=True)
class Program:
    """The C text of a policy.

    Attributes:
        source: of policy.c.
        table_bytes: constants that go to flash.
        stack_bytes: arrays on the stack.
    """

    source: str
    table_bytes: int
    stack_bytes: int


def program(quantised: Quantised) -> Program:
    """Write policy.c."""
    return _Writer(quantised).program()


class _Writer:
    def __init__(self, quantised: Quantised) -> None:
        self._q, self._memory = quantised, memory_of(quantised)
        self._constants = _constants(quantised)
        self._layers = Layers(quantised, self._constants)

    def program(self) -> Program:
        q, layers, stream = self._q, self._layers, self._layers.stream
        calls = [layers.call(number) for number in range(len(q.layers))]
        step = self._step(calls)
        functions = layers.functions()
        types, size = _types(stream, q.weight_bits)
        arithmetic_text = closure(text("arithmetic.c"), layers.used)
        values = {
            **types,
            "ADDPRODUCT": text("add_8.c" if q.weight_bits == 8 else "add_16.c"),
            "FROM": "    const source *from;\n" if stream.sources else "",
            "TABLES": self._tables(stream),
            "ARITHMETIC": fill(arithmetic_text, self._constants),
            "LAYERS": "\n".join(functions),
            "STEP": step,
        }
        size += layers.table_bytes + 8 * q.policy.n_inputs + _bytes_in(arithmetic_text)
        size += 0 if q.policy.is_discrete else 12 * q.policy.n_actions
        stack = 2 * q.policy.n_inputs + 2 * max(layer.n for layer in q.layers) + 16
        return Program(fill(text("policy.c"), values), size, stack)

    def _tables(self, stream: Stream) -> str:
        q = self._q
        inputs = np.stack((q.inputs.middle, q.inputs.factor), 1).ravel().tolist()
        tables = [
            "/* Of every input the middle of its range, and whole numbers per unit. */",
            table("float", "scales", map(literal, inputs)),
            "/* Of each layer, neuron by neuron: the biases of its heads, and of each side the multipliers. */",
            table("number", "numbers", map(str, stream.numbers)),
            "/* The weights of each synapse, of all heads together. */",
            table("weight", "weights", map(str, stream.weights)),
        ]
        if stream.sources:
            tables.append("/* How many sources a neuron has, and their places. */")
            tables.append(table("source", "sources", map(str, stream.sources)))
        units = q.policy.units
        if isinstance(units, ActionBounds) and not q.policy.is_discrete:
            low, high, half = units.arrays
            worth = half * np.float32(1.0 / (1 << q.readout.bits))
            tables.append("/* Of every action its bounds, and what one whole number is worth. */")
            tables.append(table("float", "units", map(literal, np.stack((low, high, worth), 1).ravel().tolist())))
        return "\n".join([*tables, *self._layers.tables])

    # ---------------------------------------------------------------------------------------------------------- step

    def _step(self, calls: list[str]) -> str:
        q, policy, memory = self._q, self._q.policy, self._memory
        action, lines = self._action(), list[str]()
        if policy.reads_log_dt:
            self._layers.used.add("logarithm")
            place = policy.n_observations
            lines.append("dt = dt < 1e-6f ? 1e-6f : dt > 1e6f ? 1e6f : dt;")
            lines.append(f"input[{place}] = whole(logarithm(dt), scales + {2 * place});")
        if any("ticks" in call for call in calls):
            lines += [f"const float scaled = dt * {literal(1 << q.dt_bits)};", *_TICKS]
        lines += calls
        clear = f"    for (int i = 0; i < {memory.memories}; i++) {{\n        s->memory[i] = 0;\n    }}\n"
        values = {
            "NEURONS": str(memory.neurons),
            "MEMORY": clear if memory.memories else "",
            "UNUSED": "" if policy.reads_dt else "    (void)dt; /* this policy doesn't depend on it */\n",
            "CHECKDT": " && dt == dt" if policy.reads_dt else "",
            "SOURCES": ", sources" if self._layers.stream.sources else "",
            "INPUTS": str(policy.n_inputs),
            "LAYERS": "\n".join("        " + line for line in lines),
            "ACTION": "\n".join("    " + line for line in action),
        }
        return fill(text("step.c"), values)

    def _action(self) -> list[str]:
        policy, read = self._q.policy, self._q.readout
        begin, out = self._outputs()
        for bits in read.tanh:
            self._layers.used.add("tanh_of")
            moved = "out" if bits == 13 else f"down(out, {bits - 13})" if bits > 13 else f"out * {1 << (13 - bits)}"
            out.append(f"out = tanh_of({moved});")
        if policy.is_discrete:
            first = getattr(policy.units, "first", 0)
            body = ["if (k == 0 || out > largest) {", "    largest = out;", f"    action[0] = k + ({first});", "}"]
            return ["int32_t largest = 0;", *begin, *_each(read.n_out, out + body)]
        body = [
            "const float low = FLOAT(units + 3 * k), high = FLOAT(units + 3 * k + 1);",
            f"const float chosen = low + (float)(out + INT32_C({1 << read.bits})) * FLOAT(units + 3 * k + 2);",
            "action[k] = chosen < low ? low : chosen > high ? high : chosen;",
        ]
        return [*begin, *_each(read.n_out, out + body)]

    def _outputs(self) -> tuple[list[str], list[str]]:
        """Return the statements before the loop over outputs, and those that compute ``out``, the k-th of them."""
        q, read, stream = self._q, self._q.readout, self._layers.stream
        _, place = self._memory.places[read.state_at]
        if read.linear is None:
            return [], [f"int32_t out = s->state[{place} + k];"]
        one = block(read.linear, read.n_out)
        listed = is_listed(one.sides)
        starts = [len(stream.weights), len(stream.numbers), len(stream.sources)]
        stream.add(one, [listed])
        names = ["weights", "numbers", *(["sources"] if stream.sources else [])]
        begin = [f"walk at = {{{', '.join(f'{a} + {b}' for a, b in zip(names, starts, strict=False))}}};"]
        counted = "" if listed else f"{read.n_in}, "
        self._layers.used |= {"limited"} if read.is_limited else set()
        return begin, [
            f"int32_t out = NUMBER(at.numbers) * (INT32_C(1) << {q.after});",
            "at.numbers++;",
            f"{self._layers.sums(1, listed=listed)}(&at, s->state + {place}, {counted}&out);",
            f"out = limited(down(out, {q.after}));" if read.is_limited else f"out = down(out, {q.after});",
        ]


def _constants(quantised: Quantised) -> dict[str, str]:
    """Return the values of places in the templates of arithmetic and formulas."""
    names = ("SIGMOID", "SOFTPLUS", "POWER", "LOGARITHM")
    values = {name: rows([str(v) for v in getattr(arithmetic, name)]) for name in names}
    bits = quantised.dt_bits
    return values | {
        "UP": str(15 - bits),
        "DTBITS": str(bits),
        "DTSHIFT": str(bits - 2),
        "AFTER": str(quantised.after),
    }


def _types(stream: Stream, weight_bits: int) -> tuple[dict[str, str], int]:
    """Return the C types of tables and how AVR reads them, and the bytes that the tables take."""
    wide_number = max(map(abs, stream.numbers)) > 32767
    wide_source = max([0, *stream.sources]) > 255
    word = "((int16_t)pgm_read_word(place))"
    types = {
        "WEIGHT": f"int{weight_bits}_t",
        "NUMBER": "int32_t" if wide_number else "int16_t",
        "SOURCE": "uint16_t" if wide_source else "uint8_t",
        "READNUMBER": "((int32_t)pgm_read_dword(place))" if wide_number else word,
        "READWEIGHT": "((int8_t)pgm_read_byte(place))" if weight_bits == 8 else word,
        "READSOURCE": "pgm_read_word(place)" if wide_source else "pgm_read_byte(place)",
    }
    size = weight_bits // 8 * len(stream.weights) + (4 if wide_number else 2) * len(stream.numbers)
    return types, size + (2 if wide_source else 1) * len(stream.sources)


def _bytes_in(arithmetic_text: str) -> int:
    sizes = {
        "sigmoids": len(arithmetic.SIGMOID),
        "tails": len(arithmetic.SOFTPLUS),
        "powers": len(arithmetic.POWER),
        "logarithms": len(arithmetic.LOGARITHM),
    }
    return sum(2 * size for name, size in sizes.items() if f"{name}[]" in arithmetic_text)


def _each(n: int, lines: list[str]) -> list[str]:
    return [f"for (int k = 0; k < {n}; k++) {{", *("    " + line for line in lines), "}"]
