"""The file selftest.c: example steps and their answers, for the real device."""

from __future__ import annotations

from velora.export.c.numbers import literal, table, unsigned
from velora.export.c.templates import fill, text
from velora.export.c.vectors import Vectors

BOTH = """/* A number of 32 bits, as a float and as its bits. */
typedef union {
    float number;
    uint32_t bits;
} both;

"""
_FLOATS = """            const float off = action[k] - NUMBER(actions + step * POLICY_ACTIONS + k);
            both of;
            of.number = action[k];
            seen = digest(seen, of.bits);
            is_off |= !(off * off <= @MOST_SQUARED@);"""
_WHOLE = """            is_off |= action[k] != WHOLE(actions + step * POLICY_ACTIONS + k);
            seen = digest(seen, (uint32_t)(int32_t)action[k]);"""
_STATE = """        for (int k = 0; k < POLICY_STATES; k++) {
            both of;
            of.number = s.state[k];
            seen = digest(seen, of.bits);
        }
"""


def selftest(vectors: Vectors) -> str:
    """Write selftest.c."""
    discrete = vectors.tolerance is None
    actions = vectors.actions.ravel().tolist()
    answers = (
        table("int", "actions", map(str, actions)) if discrete else table("float", "actions", map(literal, actions))
    )
    tables = [
        "/* Observations, times in control steps, and the actions that float64 answers. */",
        table("float", "observations", map(literal, vectors.observations.ravel().tolist())),
        table("float", "times", map(literal, vectors.dt.tolist())),
        answers,
    ]
    compare = _WHOLE if vectors.tolerance is None else fill(_FLOATS, {"MOST_SQUARED": literal(vectors.tolerance**2)})
    values = {"STEPS": str(len(vectors.dt)), "TABLES": "\n".join(tables), "COMPARE": compare, "STATE": _STATE}
    return fill(text("selftest.c"), values | {"BOTH": BOTH, "DIGEST": unsigned(vectors.digest)})
