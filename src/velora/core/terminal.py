"""Standard output and standard error, whatever they can show, and whether there are any."""

from __future__ import annotations

import logging
import os
import sys
from typing import Final, Protocol

log = logging.getLogger(__name__)

_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
"""What a terminal obeys instead of showing it; a name or an error in a stranger's file may hold any of it."""
_IN_ASCII: Final = str.maketrans({"±": "+/-", "…": "..."})
_failed: list[OSError] = []


class Stream(Protocol):
    """Text stream that may be written to."""

    def write(self, text: str, /) -> object:
        """Take text."""
        ...

    def flush(self) -> object:
        """Pass it on."""
        ...


def say(text: str) -> None:
    """Write to standard output; a reader that has gone away, and a process without one, is no error.

    Control characters but tabs and ends of lines are written as ``\\x1b`` and the like.
    """
    _write(sys.stdout, text)


def complain(text: str) -> None:
    """Write to standard error likewise."""
    _write(sys.stderr, text)


def encodable(text: str, encoding: str | None) -> str:
    r"""Return text as a stream of some encoding can show it.

    Args:
        encoding: ``None`` shows everything.

    Example:
        >>> encodable("1.5 ± 0.2 für", "ascii")
        '1.5 +/- 0.2 f\\xfcr'
    """
    if encoding is None or text.isascii():
        return text
    try:
        text.encode(encoding)
    except LookupError:
        encoding = "ascii"
    except UnicodeEncodeError:
        pass
    else:
        return text
    return text.translate(_IN_ASCII).encode(encoding, "backslashreplace").decode(encoding)


def visible(text: str) -> str:
    r"""Return text in one line, without what moves a cursor, colours, or hides something.

    Example:
        >>> visible("a\nb\x1b[2J")
        'a\\nb\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def occupy_standard_descriptors() -> None:
    """Open those of the descriptors 0 to 2 that the process was started without.

    The next file that is opened would get such a number, and what a library writes to its standard error with it.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(opened)


def has_failed() -> bool:
    """Return whether something that was to be written is lost, as on a full disk, and forget it."""
    failed = bool(_failed)
    _failed.clear()
    return failed


def silence(stream: object) -> None:
    """Send what else comes to nowhere, where that can be done, so that Python's own flush at its end says nothing."""
    try:
        descriptor = stream.fileno()  # type: ignore[attr-defined]
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
    except (AttributeError, OSError, ValueError):
        return


def _write(stream: Stream | None, text: str) -> None:
    if stream is None:  # a process without a terminal, such as one of pythonw
        return
    try:
        stream.write(encodable(text.translate(_CONTROLS), getattr(stream, "encoding", None)))
        stream.flush()
    except BrokenPipeError:
        silence(stream)
    except ValueError:  # it was closed
        return
    except OSError as error:
        silence(stream)
        _failed.append(error)
        if stream is not sys.stderr:
            log.warning("standard output can't be written (%s); its text is lost", error.strerror or error)
