"""The file selftest.c of a quantised policy: steps of a calibration episode and the answers of the NumPy model."""

from __future__ import annotations

import numpy as np

from velora.export.c.numbers import literal, table, unsigned
from velora.export.c.selftest import BOTH
from velora.export.c.templates import fill, text
from velora.export.c.vectors import Digest
from velora.export.quantise.calibration import Trace
from velora.export.quantise.description import Quantised
from velora.export.quantise.memory import memory_of
from velora.export.quantise.model import Model

STEPS = 8
_FLOATS = """            both of, wanted;
            of.number = action[k];
            wanted.number = NUMBER(actions + step * POLICY_ACTIONS + k);
            is_off |= of.bits != wanted.bits;
            seen = digest(seen, of.bits);"""
_WHOLE = """            is_off |= action[k] != WHOLE(actions + step * POLICY_ACTIONS + k);
            seen = digest(seen, (uint32_t)(int32_t)action[k]);"""
_STATE = """        for (int k = 0; k < @NUMBER@; k++) {
            seen = digest(seen, (uint32_t)(int32_t)s.@MEMBER@[k]);
        }
"""


def selftest(quantised: Quantised, trace: Trace) -> str:
    """Write selftest.c from the first steps of a trace; where the elapsed time counts it is varied."""
    policy = quantised.policy
    observations = trace.obs[:STEPS]
    varied = np.exp2(np.arange(len(observations)) % 5 - 2.0).astype(np.float32)
    dt = varied if policy.reads_dt else np.ones_like(varied)
    model, digest, actions = Model(quantised), Digest(), []
    state = model.begin(1)
    places = [is_memory for is_memory, _ in memory_of(quantised).places]
    held = {"state": np.flatnonzero(np.logical_not(places)).tolist(), "memory": np.flatnonzero(places).tolist()}
    for obs, time in zip(observations, dt, strict=True):
        action, state = model.step(obs[None], state, time[None])
        actions.append(action[0])
        for numbers in (action[0], *(state[0, at] for at in held.values())):
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
        "BOTH": "" if policy.is_discrete else BOTH,
        "COMPARE": _WHOLE if policy.is_discrete else _FLOATS,
        "STATE": "".join(fill(_STATE, {"MEMBER": name, "NUMBER": str(len(at))}) for name, at in held.items() if at),
        "DIGEST": unsigned(digest.value),
    }
    return fill(text("selftest.c"), values)
