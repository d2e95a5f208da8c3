"""The file policy.c: tables, functions and the step of one policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velora.envs.actions import ActionBounds
from velora.export.c import ltc
from velora.export.c.arithmetic import functions
from velora.export.c.layers import Heads, Shape, c_function, heads_of, pack, shape_of
from velora.export.c.numbers import literal, table
from velora.export.c.templates import fill, text
from velora.export.policy import LONGEST_STEP, SHORTEST_STEP, Layer, Policy
from velora.kernels.layers import Kind
from velora.kernels.plan import ReadoutKind
from velora.ops.choice import Choice


@dataclass(frozen=True, slots=True)
class Program:
    """The C text of a policy.

    Attributes:
        source: of policy.c.
        table_bytes: constants that go to flash.
    """

    source: str
    table_bytes: int


def program(policy: Policy) -> Program:
    """Write policy.c."""
    writer = _Program(policy)
    return Program(writer.whole(), writer.table_bytes)


class _Program:
    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.table_bytes = 0
        self._tables: list[str] = []
        self._used = {"is_within"} | ({"clip"} if policy.reads_dt else set())
        self._heads = {at: heads_of(one) for at, one in enumerate(policy.layers) if one.kind is not Kind.LTC}
        by_form: dict[str, list[Heads]] = {}
        for heads in self._heads.values():
            by_form.setdefault(heads.form.name, []).append(heads)
        self._shapes: dict[str, Shape] = {name: shape_of(layers) for name, layers in by_form.items()}
        largest = max([0, *(max(one.n, one.n_in) for one in policy.layers)])
        self._wide = largest > 255

    def whole(self) -> str:
        """Return the text of policy.c."""
        layer_functions = [self._use(*c_function(shape)) for shape in self._shapes.values()]
        circuits = [one for one in self.policy.layers if one.kind is Kind.LTC]
        layer_functions += [self._use(*ltc.c_function(circuits))] if circuits else []
        step = self._step()
        values = {
            "SOURCE": "uint16_t" if self._wide else "uint8_t",
            "READ_SOURCE": "word" if self._wide else "byte",
            "TABLES": "\n".join(self._tables),
            "ARITHMETIC": functions(self._used),
            "LAYERS": "\n".join(layer_functions),
            "STEP": step,
        }
        return fill(text("policy.c"), values)

    def _use(self, written: str, used: set[str]) -> str:
        self._used |= used
        return written

    def _table(self, name: str, numbers: list[float]) -> str:
        self._tables.append(table("float", name, map(literal, numbers)))
        self.table_bytes += 4 * len(numbers)
        return name

    def _sources(self, name: str, places: list[int]) -> str:
        self._tables.append(table("source", name, map(str, places)))
        self.table_bytes += (2 if self._wide else 1) * len(places)
        return name

    # --------------------------------------------------------------------------------------------------------- step

    def _step(self) -> str:
        policy = self.policy
        lines = [*self._inputs(), *self._layers()]
        return fill(
            text("step.c"),
            {
                "CHECK_DT": " && is_within(dt, 0x1.fffffep+127f)" if policy.reads_dt else "",
                "UNUSED": "" if policy.reads_dt else "    (void)dt; /* this policy doesn't depend on it */\n",
                "CLIP_DT": _CLIP_DT if policy.reads_dt else "",
                "LAYERS": "\n".join("        " + line for line in lines),
                "ACTION": "\n".join("    " + line for line in self._action()),
            },
        )

    def _inputs(self) -> list[str]:
        """Return the statements that make the network's input, where that isn't the observation itself."""
        policy = self.policy
        if policy.normalisation is None and not policy.reads_log_dt:
            return []
        lines = [f"float input[{policy.n_inputs}];", f"for (int k = 0; k < {policy.n_observations}; k++) {{"]
        if policy.normalisation is None:
            lines.append("    input[k] = observation[k];")
        else:
            given = policy.normalisation
            numbers = np.stack((given.mean, given.factor), 1).ravel().tolist()
            name, most = self._table("normalisation", numbers), literal(given.most)
            self._used.add("clip")
            lines += [
                f"    const float scaled_one = (observation[k] - NUMBER({name} + 2 * k)) * NUMBER({name} + 2 * k + 1);",
                f"    input[k] = clip(scaled_one, -{most}, {most});",
            ]
        lines.append("}")
        if policy.reads_log_dt:
            self._used.add("log_of")
            lines.append(f"input[{policy.n_observations}] = log_of(dt);")
        return lines

    def _layers(self) -> list[str]:
        network = "input" if self.policy.normalisation is not None or self.policy.reads_log_dt else "observation"
        read, lines = network, []
        for number, layer in enumerate(self.policy.layers):
            lines.append(self._call(number, layer, read))
            read = network if layer.kind is Kind.LSTM else f"state + {layer.state_at}"
        return lines

    def _call(self, number: int, layer: Layer, read: str) -> str:
        at = layer.state_at
        shape = None if layer.kind is Kind.LTC else self._shapes[self._heads[number].form.name]
        numbers, sources = ltc.pack(layer) if shape is None else pack(self._heads[number], shape)
        values = {
            "weight": self._table(f"weights_{number}", numbers),
            "from": self._sources(f"sources_{number}", sources) if sources else "",
            "input": read,
            "n_inputs": str(layer.n_in),
            "own": f"state + {at}",
            "memory": f"state + {layer.n if layer.kind is Kind.LSTM else at - layer.n}",
            "n": str(layer.n),
            "dt": "dt" if self.policy.tells_time else "1.0f",
        }
        if shape is None:
            del values["memory"]
            return f"ltc({', '.join(values.values())}, {layer.unfolds});"
        return f"{shape.form.name}({', '.join(shape.arguments(values))});"

    # ------------------------------------------------------------------------------------------------------- action

    def _action(self) -> list[str]:
        policy, readout = self.policy, self.policy.readout
        tanh = readout.squash or policy.choice is Choice.TANH
        self._used |= {"tanh_of"} if tanh else set()
        lines = self._outputs()
        lines += ["out = tanh_of(out);"] * readout.squash + ["out = tanh_of(out);"] * (policy.choice is Choice.TANH)
        if policy.is_discrete:
            first = getattr(policy.units, "first", 0)
            self._used.add("order")
            body = [
                "if (k == 0 || order(out) > largest) {",
                "    largest = order(out);",
                f"    action[0] = k + ({first});",
                "}",
            ]
            return ["int32_t largest = 0;", *_each(readout.n_out, lines + body)]
        assert isinstance(policy.units, ActionBounds)
        low, high, half = policy.units.arrays
        name = self._table("units", np.stack((low, high, half), 1).ravel().tolist())
        body = [
            f"const float low = NUMBER({name} + 3 * k), high = NUMBER({name} + 3 * k + 1);",
            f"out = low + (out + 1.0f) * NUMBER({name} + 3 * k + 2);",
            "action[k] = clip(out, low, high);",
        ]
        self._used.add("clip")
        return _each(readout.n_out, lines + body)

    def _outputs(self) -> list[str]:
        """Return the statements that compute ``out``, the k-th number that the network puts out."""
        readout = self.policy.readout
        at, n = f"state[{readout.state_at} + k]", readout.n_in
        if readout.kind is ReadoutKind.SLICE:
            return [f"float out = {at};"]
        assert readout.weight is not None
        assert readout.bias is not None
        if readout.kind is ReadoutKind.AFFINE:
            name = self._table("readout", np.stack((readout.weight, readout.bias), 1).ravel().tolist())
            return [f"float out = NUMBER({name} + 2 * k) * {at} + NUMBER({name} + 2 * k + 1);"]
        numbers = np.concatenate((readout.bias[:, None], readout.weight), 1).ravel().tolist()
        name = self._table("readout", numbers)
        return [
            f"const float *weight = {name} + {n + 1} * k;",
            "float out = NUMBER(weight);",
            f"for (int i = 0; i < {n}; i++) {{",
            f"    out += NUMBER(weight + 1 + i) * state[{readout.state_at} + i];",
            "}",
        ]


_CLIP_DT = f"        dt = clip(dt, {literal(SHORTEST_STEP)}, {literal(LONGEST_STEP)});\n"


def _each(n: int, lines: list[str]) -> list[str]:
    return [f"for (int k = 0; k < {n}; k++) {{", *("    " + line for line in lines), "}"]
