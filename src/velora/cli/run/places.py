"""Places that a command was told to write to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from velora.core import disk
from velora.core.errors import SettingError


@contextmanager
def writing(setting: str, path: Path) -> Iterator[Path]:
    """Name the setting and the path if the system doesn't let them be written.

    Raises:
        SettingError: in place of ``OSError``.
    """
    try:
        yield path
    except OSError as error:
        raise SettingError(f"{setting}: {path} can't be written ({error.strerror or error})") from error


def check_place(setting: str, path: Path) -> None:
    """Check that a file can be written there, before the work whose result it is.

    Raises:
        SettingError: if it can't.
    """
    with writing(setting, path):
        disk.check_place(path)
