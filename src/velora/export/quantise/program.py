"""The file policy.c of a quantised policy: tables, functions and the step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velora.envs.actions import ActionBounds
from velora.export.c.numbers import literal, rows, table
from velora.export.c.templates import fill
from velora.export.quantise import arithmetic
from velora.export.quantise.description import Quantised, QuantisedLayer
from velora.export.quantise.packing import (
    TIMED,
    Block,
    Stream,
    block,
    fades,
    formula,
    is_listed,
    layer_block,
    widened,
    widest,
)
from velora.export.quantise.text import needs_of, part, parts_with_needs, text
from velora.kernels.layers import Kind

_LETTERS = "abcd"


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


@dataclass(frozen=True, slots=True)
class Memory:
    """Where layers keep their state in C: neurons as 16 bits, the memories of an LSTM as 32.

    Attributes:
        neurons, memories: how many there are.
        neuron_at, memory_at: for each layer where its own begin.
        places: for each number of the policy's state, whether it is a memory, and its place among those of its size.
    """

    neurons: int
    memories: int
    neuron_at: tuple[int, ...]
    memory_at: tuple[int, ...]
    places: tuple[tuple[bool, int], ...]


def memory_of(quantised: Quantised) -> Memory:
    """Lay out the state."""
    is_memory = np.zeros(quantised.policy.n_state, bool)
    for layer in quantised.layers:
        if layer.kind in (Kind.LSTM, Kind.LSTM_LAYER):
            begin = layer.n if layer.kind is Kind.LSTM else layer.state_at - layer.n
            is_memory[begin : begin + layer.n] = True
    place = np.where(is_memory, np.cumsum(is_memory), np.cumsum(~is_memory)) - 1
    neuron_at = tuple(0 if one.kind is Kind.LSTM else int(place[one.state_at]) for one in quantised.layers)
    memory_at = tuple(
        int(place[one.n if one.kind is Kind.LSTM else one.state_at - one.n])
        if one.kind in (Kind.LSTM, Kind.LSTM_LAYER)
        else 0
        for one in quantised.layers
    )
    places = tuple((bool(a), int(b)) for a, b in zip(is_memory, place, strict=True))
    return Memory(int((~is_memory).sum()), int(is_memory.sum()), neuron_at, memory_at, places)


def program(quantised: Quantised) -> Program:
    """Write policy.c."""
    return _Writer(quantised).program()


class _Writer:
    def __init__(self, quantised: Quantised) -> None:
        self._q, self._memory = quantised, memory_of(quantised)
        self._used: set[str] = {"down"}
        self._sums: set[tuple[int, bool]] = set()
        self._stream = Stream([], [], [])
        self._own: list[str] = []
        self._own_bytes = 0
        by_name: dict[str, list[Block]] = {}
        for layer in quantised.layers:
            by_name.setdefault(self._name(layer), []).append(layer_block(layer))
        self._into = {name: widest(blocks) for name, blocks in by_name.items()}
        self._listed = {
            name: [
                is_listed(sides)
                for sides in zip(*(widened(one, self._into[name]).sides for one in blocks), strict=True)
            ]
            for name, blocks in by_name.items()
        }

    @staticmethod
    def _name(layer: QuantisedLayer) -> str:
        return "gru_d" if fades(layer) else formula(layer)

    # ------------------------------------------------------------------------------------------------------- program

    def program(self) -> Program:
        q = self._q
        layers = [self._layer(number) for number in range(len(q.layers))]
        functions = [self._function(layer) for layer in {self._name(one): one for one in q.layers}.values()]
        step = self._step(layers)
        stream = self._stream
        wide_number = max(map(abs, stream.numbers)) > 32767
        wide_source = max([0, *stream.sources]) > 255
        long_weight = q.weight_bits > 8
        lists = bool(stream.sources)
        parts = parts_with_needs("arithmetic.c", self._used)
        values = {
            "WEIGHT": "int16_t" if long_weight else "int8_t",
            "NUMBER": "int32_t" if wide_number else "int16_t",
            "SOURCE": "uint16_t" if wide_source else "uint8_t",
            "READNUMBER": "((int32_t)pgm_read_dword(place))" if wide_number else "((int16_t)pgm_read_word(place))",
            "READWEIGHT": "((int16_t)pgm_read_word(place))" if long_weight else "((int8_t)pgm_read_byte(place))",
            "READSOURCE": "pgm_read_word(place)" if wide_source else "pgm_read_byte(place)",
            "ADDPRODUCT": text("add_16.c" if long_weight else "add_8.c"),
            "FROM": "    const source *from;\n" if lists else "",
            "TABLES": self._tables(lists=lists),
            "ARITHMETIC": fill(parts, self._constants()),
            "LAYERS": "\n".join([*(_sums(*key, before=q.before) for key in sorted(self._sums)), *functions]),
            "STEP": step,
        }
        size = (1 + long_weight) * len(stream.weights) + (2 + 2 * wide_number) * len(stream.numbers)
        size += (
            (1 + wide_source) * len(stream.sources) + self._own_bytes + 8 * q.policy.n_inputs + _table_bytes(self._used)
        )
        size += 0 if q.policy.is_discrete else 12 * q.policy.n_actions
        stack = 2 * q.policy.n_inputs + 2 * max(layer.n for layer in q.layers) + 16
        return Program(fill(text("policy.c"), values), size, stack)

    def _constants(self) -> dict[str, str]:
        q = self._q
        numbers = {"SIGMOID": arithmetic.SIGMOID, "SOFTPLUS": arithmetic.SOFTPLUS, "POWER": arithmetic.POWER}
        values = {name: rows([str(v) for v in array]) for name, array in numbers.items()}
        values["LOGARITHM"] = rows([str(v) for v in arithmetic.LOGARITHM])
        return values | {
            "UP": str(15 - q.dt_bits),
            "DTBITS": str(q.dt_bits),
            "DTSHIFT": str(q.dt_bits - 2),
            "AFTER": str(q.after),
        }

    def _tables(self, *, lists: bool) -> str:
        q, stream = self._q, self._stream
        inputs = np.stack((q.inputs.middle, q.inputs.factor), 1).ravel().tolist()
        tables = [
            "/* Of every input the middle of its range, and whole numbers per unit. */",
            table("float", "scales", map(literal, inputs)),
            "/* Of each layer, neuron by neuron: the biases of its heads, and after each side the multipliers. */",
            table("number", "numbers", map(str, stream.numbers)),
            "/* The weights of each synapse, of all heads together. */",
            table("weight", "weights", map(str, stream.weights)),
        ]
        if lists:
            tables += [
                "/* How many sources a neuron has, and their places. */",
                table("source", "sources", map(str, stream.sources)),
            ]
        units = q.policy.units
        if isinstance(units, ActionBounds) and not q.policy.is_discrete:
            low, high, half = units.arrays
            worth = half * np.float32(1.0 / (1 << q.readout.bits))
            tables += [
                "/* Of every action its bounds, and what one whole number is worth. */",
                table("float", "units", map(literal, np.stack((low, high, worth), 1).ravel().tolist())),
            ]
        return "\n".join([*tables, *self._own])

    # -------------------------------------------------------------------------------------------------------- layers

    def _layer(self, number: int) -> str:
        """Append a layer's numbers to the tables, and return the call of its function."""
        layer, q, name = self._q.layers[number], self._q, self._name(self._q.layers[number])
        self._stream.add(widened(layer_block(layer), self._into[name]), self._listed[name])
        if number == 0 or q.layers[number - 1].kind is Kind.LSTM:
            read = "input"
        else:
            read = f"s->state + {self._memory.neuron_at[number - 1]}"
        values = {
            "at": "&at",
            "input": read,
            "n_inputs": str(layer.n_in),
            "own": f"s->state + {self._memory.neuron_at[number]}",
            "memory": f"s->memory + {self._memory.memory_at[number]}",
            "n": str(layer.n),
            "own_number": self._own_numbers(number, layer),
            "dt": "ticks" if q.policy.tells_time else str(1 << q.dt_bits),
        }
        return f"{name}({', '.join(values[one] for one in self._takes(layer))});"

    def _own_numbers(self, number: int, layer: QuantisedLayer) -> str:
        if not layer.numbers:
            return ""
        columns = [*layer.numbers.values()]
        if layer.kind is Kind.CFC_PURE:
            columns.append(np.full(layer.n, layer.shift))
        entries = np.stack(columns, 1).ravel().tolist()
        self._own.append(table("int32_t", f"own_{number}", map(str, entries)))
        self._own_bytes += 4 * len(entries)
        return f"own_{number}"

    def _takes(self, layer: QuantisedLayer) -> list[str]:
        name = self._name(layer)
        takes = {
            "at": True,
            "input": True,
            "n_inputs": not self._listed[name][0],
            "own": True,
            "memory": layer.kind in (Kind.LSTM, Kind.LSTM_LAYER),
            "n": True,
            "own_number": bool(layer.numbers),
            "dt": name in TIMED or fades(layer),
        }
        return [one for one, taken in takes.items() if taken]

    def _function(self, layer: QuantisedLayer) -> str:
        """Return the C function of a layer's kind."""
        name = self._name(layer)
        heads = len(layer_block(layer).bias)
        sides = []
        for read, count, into, listed in zip(
            ("input", "own"), ("n_inputs", "n"), self._into[name], self._listed[name], strict=False
        ):
            self._sums.add((into[1] - into[0], listed))
            target = f"sum + {into[0]}" if into[0] else "sum"
            counted = "" if listed else f"{count}, "
            sides.append(f"        {_sums_name(into[1] - into[0], listed)}(at, {read}, {counted}{target});\n")
        self._used |= needs_of("layers.c", formula(layer))
        if fades(layer):
            self._used |= {"product", "decay", "stretch"}
        parameters = {
            "at": "walk *at",
            "input": "const int16_t *input",
            "n_inputs": "int n_inputs",
            "own": "int16_t *own",
            "memory": "int32_t *memory",
            "n": "int n",
            "own_number": "const int32_t *own_number",
            "dt": "uint16_t dt",
        }
        values = {
            "NAME": name,
            "PARAMETERS": ", ".join(parameters[one] for one in self._takes(layer)),
            "MOST": str(max(one.n for one in self._q.layers if self._name(one) == name)),
            "HEADS": str(heads),
            "BIASES": "\n".join(
                f"        sum[{k}] = NUMBER(at->numbers + {k}) * (INT32_C(1) << {self._q.after});" for k in range(heads)
            ),
            "FADE": text("fade.c") if fades(layer) else "",
            "SIDES": "".join(sides),
            "FORMULA": fill(part("layers.c", formula(layer)), self._constants()),
        }
        return fill(text("layer.c"), values)

    # ---------------------------------------------------------------------------------------------------------- step

    def _step(self, layers: list[str]) -> str:
        q, policy = self._q, self._q.policy
        action = self._action()
        told = policy.tells_time and any("ticks" in call for call in layers)
        lines = []
        if policy.reads_log_dt:
            self._used.add("logarithm")
            place = policy.n_observations
            lines += [
                "dt = dt < 1e-6f ? 1e-6f : dt > 1e6f ? 1e6f : dt;",
                f"input[{place}] = whole(logarithm(dt), scales + {2 * place});",
            ]
        if told:
            lines += [
                f"const float scaled = dt * {literal(1 << q.dt_bits)};",
                "const uint16_t ticks = scaled >= 65535.0f ? 65535 : scaled <= 1.0f ? 1 : (uint16_t)(int32_t)(scaled + 0.5f);",
            ]
        lines += layers
        memory = f"    for (int i = 0; i < {self._memory.memories}; i++) {{\n        s->memory[i] = 0;\n    }}\n"
        values = {
            "NEURONS": str(self._memory.neurons),
            "MEMORY": memory if self._memory.memories else "",
            "UNUSED": "" if policy.reads_dt else "    (void)dt; /* this policy doesn't depend on it */\n",
            "CHECKDT": " && dt == dt" if policy.reads_dt else "",
            "SOURCES": ", sources" if self._stream.sources else "",
            "INPUTS": str(policy.n_inputs),
            "LAYERS": "\n".join("        " + line for line in lines),
            "ACTION": "\n".join("    " + line for line in action),
        }
        return fill(text("step.c"), values)

    def _action(self) -> list[str]:
        policy, read = self._q.policy, self._q.readout
        begin, out = self._outputs()
        for bits in read.tanh:
            self._used.add("tanh_of")
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
        q, read = self._q, self._q.readout
        kind, place = self._memory.places[read.state_at]
        assert not kind
        if read.linear is None:
            return [], [f"int32_t out = s->state[{place} + k];"]
        stream, one = self._stream, block(read.linear, read.n_out)
        listed = is_listed(one.sides)
        starts = [len(stream.weights), len(stream.numbers), len(stream.sources)]
        stream.add(one, [listed])
        self._sums.add((1, listed))
        names = ["weights", "numbers", *(["sources"] if stream.sources else [])]
        begin = [f"walk at = {{{', '.join(f'{a} + {b}' for a, b in zip(names, starts, strict=False))}}};"]
        counted = "" if listed else f"{read.n_in}, "
        limited = f"limited(down(out, {q.after}))" if read.is_limited else f"down(out, {q.after})"
        self._used |= {"limited"} if read.is_limited else set()
        return begin, [
            f"int32_t out = NUMBER(at.numbers) * (INT32_C(1) << {q.after});",
            "at.numbers++;",
            f"{_sums_name(1, listed)}(&at, s->state + {place}, {counted}&out);",
            f"out = {limited};",
        ]


def _table_bytes(used: set[str]) -> int:
    names = parts_with_needs("arithmetic.c", used)
    sizes = {"sigmoids": 2 * 129, "tails": 2 * 65, "powers": 2 * 33, "logarithms": 2 * 33}
    return sum(size for name, size in sizes.items() if f"{name}[]" in names)


def _sums_name(heads: int, listed: bool) -> str:
    return f"{'listed' if listed else 'full'}_{heads}"


def _sums(heads: int, listed: bool, *, before: int) -> str:
    """Return the C function that adds what a neuron reads to sums of so many heads."""
    letters = _LETTERS[:heads]
    values = {
        "NAME": _sums_name(heads, listed),
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


def _each(n: int, lines: list[str]) -> list[str]:
    return [f"for (int k = 0; k < {n}; k++) {{", *("    " + line for line in lines), "}"]
