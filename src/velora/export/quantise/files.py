"""The files of a quantised policy in C."""

from __future__ import annotations

from velora.export.c.templates import fill
from velora.export.c.templates import text as shared
from velora.export.quantise.calibration import Trace
from velora.export.quantise.description import Quantised
from velora.export.quantise.header import header
from velora.export.quantise.program import program
from velora.export.quantise.selftest import selftest


def c_files(quantised: Quantised, trace: Trace) -> dict[str, str]:
    """Return the text of every file by its name; the same policy and calibration give the same bytes."""
    written = program(quantised)
    is_discrete = quantised.policy.is_discrete
    number = {"FORMAT": "%d", "CAST": ""} if is_discrete else {"FORMAT": "%.9g", "CAST": "(double)"}
    return {
        "policy.h": header(quantised, written),
        "policy.c": written.source,
        "selftest.c": selftest(quantised, trace),
        "main.c": fill(shared("main.c"), number),
        "Makefile": shared("Makefile"),
    }
