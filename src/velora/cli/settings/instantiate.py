"""Make an object from an entry with ``_target_``, and explain a mistake in the entry in one line."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from velora.cli.command.mistakes import one_line
from velora.core.errors import SettingError, VeloraError
from velora.core.names import did_you_mean
from velora.nn.cells.registry import is_foreign, register_cell


def instantiate(name: str, node: Any, /, **more: Any) -> Any:
    """Make the object that one entry describes.

    Args:
        name: the entry's full name in the settings, for errors: ``"callbacks.early_stopping"``.
        node: the entry: ``_target_`` and keywords.
        more: further keywords.

    Raises:
        SettingError: if the class can't be found, or doesn't take one of the keywords.
    """
    target = locate_class(name, node)
    check_keywords(name, node, target)
    if hasattr(hydra.utils, "execution_whitelist"):  # Hydra 1.4 calls only classes that are allowed by name
        more["_execution_whitelist_"] = sorted({path for _, path in targets(name, node)})
    try:
        return hydra.utils.instantiate(node, _convert_="all", **more)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, VeloraError):
            raise type(cause)(_placed(name, str(cause), node)) from cause
        if isinstance(cause, ImportError):
            raise SettingError(f"{name}: {one_line(cause)}") from cause
        raise cause or error from None


def _placed(name: str, message: str, node: Any) -> str:
    """Begin a constructor's message with the setting's full name, of which it may have the last part already."""
    parent, _, own = name.rpartition(".")
    if message.startswith((f"{own}.", f"{own}:")):
        return f"{parent}.{message}"
    return f"{name}.{message}" if message.partition(":")[0] in node else f"{name}: {message}"


def locate_class(name: str, node: Any) -> type[Any]:
    """Import the class that an entry names.

    Raises:
        SettingError: if the entry names none, or it can't be found.
    """
    path = node.get("_target_") if isinstance(node, DictConfig) else None
    if not isinstance(path, str):
        raise SettingError(f"{name}: expected an entry with a class in _target_, got {node!r}")
    return import_class(path, f"{name}._target_")


def import_class(path: str, where: str) -> type[Any]:
    """Import a class.

    Args:
        path: ``"module.Class"``.
        where: full name of the setting that says so, for errors.

    Raises:
        SettingError: if it can't be found.
    """
    module_name, _, class_name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ValueError as error:
        raise SettingError(f"{where}: expected module.Class, got {path!r}") from error
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise SettingError(
                f"{where.removesuffix('._target_')}: {path} needs a package that isn't installed: {error.name}"
            ) from error
        raise SettingError(
            f"{where}: there is no module {error.name!r}; modules are looked for in the current directory too"
        ) from error
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        classes = [member for member, _ in inspect.getmembers(module, inspect.isclass)]
        hint = did_you_mean(class_name, classes, "expected a class")
        raise SettingError(f"{where}: {module_name} has no class {class_name!r}; {hint}")
    return found


def import_cell(name: Any) -> None:
    """Import the class of the setting ``agent.cell``, where that is one of the user's own, and register it.

    Raises:
        SettingError: if it can't be found, or is no cell.
    """
    if is_foreign(name):
        try:
            register_cell(import_class(name, "agent.cell"))
        except SettingError as error:
            text = str(error)
            raise SettingError(text if text.startswith("agent.") else f"agent.{text}") from error


def check_keywords(name: str, node: Mapping[str, Any], target: type[Any]) -> None:
    """Check that an entry's class takes its keywords.

    Raises:
        SettingError: naming the nearest keyword.
    """
    known = takes(target)
    for keyword in node:
        if known is not None and not keyword.startswith("_") and keyword not in known:
            hint = did_you_mean(keyword, known, f"it takes {', '.join(sorted(known))}")
            raise SettingError(f"{name}.{keyword}: {target.__name__} has no such setting; {hint}")


def takes(target: type[Any]) -> set[str] | None:
    """List the keywords that a class takes, or return ``None`` if it takes any."""
    names, takes_any = named_keywords(target)
    return None if takes_any else names


def named_keywords(target: type[Any]) -> tuple[set[str], bool]:
    """List the keywords that a class names, and tell whether it takes any others."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return set(), True
    names = {p.name for p in parameters if p.kind not in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    return names, any(p.kind is p.VAR_KEYWORD for p in parameters)


def targets(name: str, node: Any) -> Iterator[tuple[str, str]]:
    """Find every ``_target_`` in an entry: its full name, and its value."""
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    if isinstance(plain, dict):
        if isinstance(plain.get("_target_"), str):
            yield f"{name}._target_", plain["_target_"]
        for key, child in plain.items():
            yield from targets(f"{name}.{key!s}", child)
    elif isinstance(plain, list):
        for position, child in enumerate(plain):
            yield from targets(f"{name}.{position}", child)
