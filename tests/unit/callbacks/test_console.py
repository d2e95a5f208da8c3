"""The bar and the summary go to any terminal, and to none."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from velora.callbacks import PrintSummary, ProgressBar

from .stand_in import Agent, Trainer


def shown(monkeypatch: pytest.MonkeyPatch, encoding: str, errors: str) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, errors)
    monkeypatch.setattr(sys, "stderr", stream)
    trainer = Trainer(Agent(seeds=(1, 2)), callbacks=[PrintSummary(), ProgressBar(seconds_per_line=1e-9)])
    trainer.start()
    trainer.play(-1.0)
    trainer.play(-3.0, seed_index=1)
    trainer.end()
    stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("errors", ["strict", "backslashreplace"])
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8"])
def test_bar_and_summary_are_shown_in_any_encoding(
    encoding: str, errors: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text = shown(monkeypatch, encoding, errors)
    sign = "+/-" if encoding in ("ascii",) else "±"
    assert f"return -2 {sign} 1, max -1" in text
    assert "LiquidDDPG" in text
    assert "\\x" not in text
    assert "\\u" not in text
    assert ("╭" in text) is (encoding == "utf-8")
    assert not caplog.text


@pytest.mark.parametrize("what", ["none", "closed", "broken"])
def test_training_goes_on_without_a_terminal(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    closed = io.StringIO()
    closed.close()
    streams: dict[str, Any] = {"none": None, "closed": closed, "broken": Broken()}
    monkeypatch.setattr(sys, "stderr", streams[what])
    trainer = Trainer(Agent(), callbacks=[PrintSummary(), ProgressBar(seconds_per_line=1e-9)])
    trainer.start()
    trainer.play(-1.0, -2.0)
    trainer.end()
