"""Read docstrings for the API reference: settings as ``help()`` shows them, references to code as links.

A constructor of an agent takes ``**settings`` in the source that the reference is read from; their names, defaults and
meaning are put into signature and docstring when the class is made, so they are taken over from there.
"""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import griffe

from velora.envs.wrappers import KNOWN

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`(~?)([\w.]+)`")
_EXAMPLE = re.compile(r"^( *)Example:$", re.M)


class Reference(griffe.Extension):
    """Make of every docstring what the reference renders."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Go over all that was read."""
        offer_wrappers(pkg["envs.wrappers"])
        _translate(pkg)


def offer_wrappers(package: Any) -> None:
    """Add the wrappers that register themselves, which the package's source need not name."""
    for name, row in KNOWN.items():
        if name not in package.members:
            package[name] = griffe.Alias(name, f"{row.kind.__module__}.{name}")
            package.exports.append(name)


def _take_over(cls: griffe.Class) -> None:
    """Take signature and docstring from Python, where a class was given a signature of its own."""
    found: type = getattr(importlib.import_module(cls.module.path), cls.name, object)
    init = cls.members.get("__init__")
    if "__signature__" in vars(found) and isinstance(init, griffe.Function):
        cls.docstring = griffe.Docstring(inspect.getdoc(found) or "", parent=cls, parser="google")
        init.parameters = griffe.Parameters(*map(_parameter, inspect.signature(found).parameters.values()))


def _translate(read: griffe.Object) -> None:
    """Make links of roles, and a section of code of ``Example:``."""
    if isinstance(read, griffe.Class) and read.path.startswith("velora.models."):
        _take_over(read)
    if read.docstring is not None:
        text = _ROLE.sub(lambda role: _link(read, role[2], is_short=bool(role[1])), read.docstring.value)
        read.docstring.value = _EXAMPLE.sub(r"\1Examples:", text)
    for member in read.members.values():
        if isinstance(member, griffe.Object):
            _translate(member)


def _link(read: griffe.Object, name: str, *, is_short: bool) -> str:
    """Link to what has a place in the reference; anything else stays a name."""
    try:
        target = name if name.startswith("velora.") else read.resolve(name)
    except griffe.NameResolutionError:
        target = name
    shown = name.rpartition(".")[2] if is_short else name
    return f'<autoref identifier="{target}" optional><code>{shown}</code></autoref>'


def _parameter(one: inspect.Parameter) -> griffe.Parameter:
    annotation = None if one.annotation is one.empty else inspect.formatannotation(one.annotation)
    default = None if one.default is one.empty else repr(one.default)
    kind = griffe.ParameterKind(one.kind.description)
    return griffe.Parameter(one.name, annotation=annotation, default=default, kind=kind)
