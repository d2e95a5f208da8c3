"""The file selftest.c of a quantised policy: steps of a calibration episode and the answers of the NumPy model."""

from __future__ import annotations

import numpy as np

from velora.export.c.numbers import literal, table, unsigned
from velora.export.c.templates import fill
from velora.export.c.vectors import Digest
from velora.export.quantise.calibration import Trace
from velora.export.quantise.description import Quantised
from velora.export.quantise.memory import memory_of
from velora.export.quantise.model import Model
from velora.export.quantise.text import text

STEPS = 8
_FLOATS = """            both of, wanted;
            of.number = action[k];
            wanted.number = FLOAT(actions + step * POLICY_ACTIONS + k);
            is_off |= of.bits != wanted.bits;
            seen = digest(seen, of.bits);"""
_WHOLE = """            is_off |= action[k] != WHOLE(actions + step * POLICY_ACTIONS + k);
            seen = digest(seen, (uint32_t)(int32_t)action[k]);"""
_MEMORY = """        for (int k = 0; k < @MEMORIES@; k++) {
            seen = digest(seen, (uint32_t)s.memory[k]);
        }
"""


def selftest(quantised: Quantised, trace: Trace) -> str:
    """Write selftest.c from the first steps of a trace; where the elapsed time counts it is varied."""
    policy, memory = quantised.policy, memory_of(quantised)
    observations = trace.obs[:STEPS]
    varied = np.exp2(np.arange(len(observations)) % 5 - 2.0).astype(np.float32)
    dt = varied if policy.reads_dt else np.ones_like(varied)
    model, digest, actions = Model(quantised), Digest(), []
    state = model.begin(1)
    neurons = [at for at, (is_memory, _) in enumerate(memory.places) if not is_memory]
    memories = [at for at, (is_memory, _) in enumerate(memory.places) if is_memory]
    for obs, time in zip(observations, dt, strict=True):
        action, state = model.step(obs[None], state, time[None])
        actions.append(action[0])
        for numbers in (action[0], state[0, neurons], state[0, memories]):
            digest.add(numbers)
    answers = np.array(actions).ravel().tolist()
    tables = [
        "/* Observations, times in control steps, and the actions that follow. */",
        table("float", "observations", map(literal, observations.ravel().tolist())),
        table("float", "times", map(literal, dt.tolist())),
        table("int", "actions", map(str, answers))
        if policy.is_discrete
        else table("float", "actions", map(literal, answers)),
    ]
    values = {
        "STEPS": str(len(observations)),
        "TABLES": "\n".join(tables),
        "COMPARE": _WHOLE if policy.is_discrete else _FLOATS,
        "NEURONS": str(memory.neurons),
        "MEMORY": fill(_MEMORY, {"MEMORIES": str(memory.memories)}) if memories else "",
        "DIGEST": unsigned(digest.value),
    }
    return fill(text("selftest.c"), values)
