"""Read a YAML file that somebody else may have written: plain values only, and in a moment."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from velora.checkpoint import files
from velora.core.errors import CheckpointError, RunDirectoryError

MOST_BYTES: Final = 1 << 16
MOST_DEPTH: Final = 64
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(path: Path) -> Any:
    """Read settings as Velora writes them: values and nothing that stands for something else.

    A few lines of aliases can stand for gigabytes, and of nested references for hours; a reference may also read the
    environment. So both are refused, and tags too, before anything is made of the text.

    Raises:
        RunDirectoryError: if the file can't be read, is too long or too deep, or holds anything but plain values.
    """
    try:
        text = files.read_small(path, MOST_BYTES).decode("utf-8")
        if fault := find_fault(text):
            raise RunDirectoryError(f"{path} holds {fault}; expected plain values, as a run writes them")
        return OmegaConf.load(io.StringIO(text))
    except CheckpointError as error:
        raise RunDirectoryError(str(error)) from error
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
        raise RunDirectoryError(f"{path} can't be read: {str(error).splitlines()[0]}") from error


def find_fault(text: str) -> str | None:
    """Return what a YAML text holds besides plain values; ``None`` if nothing.

    Example:
        >>> find_fault("a: [1, 2]"), find_fault("a: &x [1]"), find_fault("a: ${oc.env:HOME}")
        (None, 'an anchor or an alias (& or *)', 'a reference (${...})')

    Raises:
        yaml.YAMLError: if it is no YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            return "an anchor or an alias (& or *)"
        if getattr(event, "tag", None) is not None:
            return "a tag (!)"
        if isinstance(event, yaml.ScalarEvent) and "${" in event.value:
            return "a reference (${...})"
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            return f"more than {MOST_DEPTH} levels of nesting"
    return None
