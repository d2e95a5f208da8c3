"""The generated text: the same for the same policy, and nothing in it that the policy doesn't use."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.export.c.policies import by_hand, of_cell
from velora.export.c.numbers import literal
from velora.export.c.target import c_files
from velora.export.c.terms import Term
from velora.export.policy import Normalisation
from velora.export.quantise.calibration import replayed
from velora.export.quantise.files import c_files as of_whole_numbers
from velora.export.quantise.making import quantise

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["policy.h", "policy.c", "selftest.c"])
def test_the_bytes_stay_as_they_are(name: str) -> None:
    """To accept a change of the generator: ``python -m tests.unit.export.c.golden``, and read what it changed."""
    assert c_files(by_hand())[name].encode() == (GOLDEN / name).read_bytes()


def test_absent_synapses_are_not_in_the_tables() -> None:
    text = c_files(by_hand())["policy.c"]
    weights = re.findall(r"weights_0\[\] TABLE = \{(.*?)\};", text, re.DOTALL)[0].count(",")
    assert weights == 8 + 4 * 2 + 4 * 4  # biases, the first neuron's inputs 0 and 2, and the recurrent block
    assert "sources_0[] TABLE = {\n    2, 0, 2, 0,\n};" in text


def test_functions_that_are_not_needed_are_left_out() -> None:
    text = c_files(of_cell("memoryless", time="none"))["policy.c"]
    assert not any(f" {name}(" in text for name in ("blend", "decay", "softplus", "log_of", "clip_dt"))


def test_the_header_says_what_a_user_has_to_know() -> None:
    ones = np.ones(3, np.float32)
    text = c_files(replace(by_hand(), normalisation=Normalisation(ones, ones, 10.0)))["policy.h"]
    for words in ("POLICY_OBSERVATIONS 3", "from -2 to 2", "normalised inside", "late", "NaN", "bytes of RAM", "e-06"):
        assert words in text, words
    assert f'POLICY_DIGEST "{"0" * 64}"' in text
    assert max(map(len, text.splitlines())) <= 120


def test_an_environment_cannot_end_the_comment() -> None:
    wrapper = {"name": "DropObservation", "kwargs": {"drop": "*/ int worse;"}}
    origin = replace(by_hand().origin, environment="*/ int evil;\n/*", wrappers=[wrapper], missing=["*/*/"])
    policy = replace(by_hand(), origin=origin)
    trace = replayed(policy, np.ones((40, 3), np.float32), np.ones(40, np.float32), np.arange(40) == 0)
    for files in (c_files(policy), of_whole_numbers(quantise(policy, trace), trace)):
        text = files["policy.h"]
        assert text.splitlines()[0] == "/* LiquidTD3 (cfc), trained on * / int evil; / *"
        comment, _, rest = text.partition("*/")
        assert rest.startswith("\n#ifndef POLICY_H")
        words = " ".join(comment.replace("\n *", " ").split())
        assert "DropObservation(drop=* / int worse;); * / * /. policy.json has the whole of it." in words


def test_numbers_are_exact() -> None:
    drawn = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    for number in (*drawn, np.float32(1e-45), np.float32(3.4e38), np.float32(-0.0)):
        assert np.float32(float.fromhex(literal(number).rstrip("f"))) == number


def test_terms_keep_the_order_of_operations() -> None:
    a, b, c = Term("a"), Term("b"), Term("c")
    assert str(a - (b - c)) == "a - (b - c)"
    assert str((a + b) + c) == "a + b + c"
    assert str((a + b) * c) == "(a + b) * c"
    assert str(a * (b / c)) == "a * (b / c)"
    assert str(1.0 - a) == "0x1p+0f - a"
