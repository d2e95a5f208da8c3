"""Output reaches any stream as well as that can show it, and none is no error."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import pytest

from velora.core.terminal import complain, encodable, has_failed, say, visible

LINE = "-1.5 ± 0.2 … füß ☃ \ud800\n"


class Broken(io.StringIO):
    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "-1.5 +/- 0.2 ... füß ☃ \\ud800\n"), ("ascii", "-1.5 +/- 0.2 ... f\\xfc\\xdf \\u2603 \\ud800\n"),
        ("cp1252", "-1.5 +/- 0.2 ... füß \\u2603 \\ud800\n"), ("latin-1", "-1.5 +/- 0.2 ... füß \\u2603 \\ud800\n"),
        ("cp437", "-1.5 +/- 0.2 ... füß \\u2603 \\ud800\n"),
        ("no-such-encoding", "-1.5 +/- 0.2 ... f\\xfc\\xdf \\u2603 \\ud800\n"),
    ],
)  # fmt: skip
def test_a_line_is_shown_in_any_encoding(encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert encodable(LINE, encoding) == shown
    assert encodable("1 ± 2", "utf-8") == encodable("1 ± 2", None) == "1 ± 2"
    if encoding != "no-such-encoding":
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
        say(LINE)
        assert raw.getvalue().decode(encoding) == shown
    assert not has_failed()


def test_nobody_listening_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    streams: list[Any] = [None, closed, Broken(BrokenPipeError())]
    for stream in streams:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        say("text\n")
        complain("text\n")
    assert not has_failed()


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(OSError(28, "No space left on device")))
    say("text\n")
    assert "standard output can't be written (No space left on device)" in caplog.text
    assert (has_failed(), has_failed()) == (True, False)


def test_a_pipe_whose_reader_has_gone_takes_all_that_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w", encoding="utf-8") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        say("first\n")
        print("of others", flush=True)
        say("second\n")
    assert not has_failed()


def test_no_text_moves_the_cursor_or_hides_what_stood_there(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\tb\r\x1b[2Jc\x9b1A\n")
    complain("\x1b]0;title\x07\n")
    assert capsys.readouterr() == ("a\tb\\x0d\\x1b[2Jc\\x9b1A\n", "\\x1b]0;title\\x07\n")


def test_a_name_is_one_line_that_can_be_seen() -> None:
    assert visible("run 1/ä=☃") == "run 1/ä=☃"
    assert visible("a\nb\u202ec\ud800") == r"a\nb\u202ec\ud800"
