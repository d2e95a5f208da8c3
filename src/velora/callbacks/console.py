"""The terminal, seen from training: a place to write to that may vanish, and may not show every letter."""

from __future__ import annotations

from typing import IO, Any, cast

from rich.console import Console

from velora.core.terminal import encodable


class EdgeConsole(Console):
    """Write to standard error, or to standard output, what its encoding can show.

    When its reader goes away, it falls silent instead of ending the process as rich does.
    """

    def __init__(self, *, stderr: bool = True) -> None:
        """Take the stream as it is whenever something is written."""
        super().__init__(stderr=stderr)

    @property
    def file(self) -> IO[str]:
        """The stream as it is now."""
        return cast(IO[str], _Shown(super().file))

    @file.setter
    def file(self, file: IO[str]) -> None:
        self._file = file

    @property
    def encoding(self) -> str:
        """Encoding of the stream, by which rich chooses how to draw a box."""
        return (getattr(self.file, "encoding", None) or "utf-8").lower()

    def on_broken_pipe(self) -> None:
        """Write nothing more."""
        self.quiet = True


class _Shown:
    """A stream that is given only what its encoding can show."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(encodable(text, getattr(self._stream, "encoding", None)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
