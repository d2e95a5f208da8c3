"""A table in the documentation that is marked ``<!-- check: ... -->`` says what the code says."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from velora.callbacks import HOOKS, Callback
from velora.cli.launch import config_dir
from velora.envs.wrappers.drop_observation import VELOCITIES
from velora.metrics.schema import connect

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TABLE = re.compile(r"<!-- check: (?P<kind>\w+)(?: (?P<target>\S+))? -->\n\n(?P<rows>(?:\|.*\n)+)")
REQUIRED = inspect.Parameter.empty
Expected = dict[str, Any]


def resolve(dotted: str) -> Any:
    """Find what ``velora.part.Class.member`` names."""
    found: Any = importlib.import_module("velora")
    for part in dotted.split(".")[1:]:
        if inspect.ismodule(found):
            with contextlib.suppress(ModuleNotFoundError):
                importlib.import_module(f"{found.__name__}.{part}")
        found = getattr(found, part)
    return found


def parameters(target: str) -> Expected:
    found = inspect.signature(resolve(target)).parameters.values()
    return {p.name: p.default for p in found if p.name != "self"}


def fields(target: str) -> Expected:
    kind = resolve(target)
    if issubclass(kind, BaseModel):
        defaults = {name: field.get_default(call_default_factory=True) for name, field in kind.model_fields.items()}
        return {name: REQUIRED if value is PydanticUndefined else value for name, value in defaults.items()}
    if dataclasses.is_dataclass(kind):
        return {f.name: REQUIRED if f.default is dataclasses.MISSING else f.default for f in dataclasses.fields(kind)}
    return dict.fromkeys(kind._fields, REQUIRED)


def conf_file(target: str) -> Expected:
    return dict(yaml.safe_load((config_dir() / f"{target}.yaml").read_text()))


def conf_groups(target: str) -> Expected:
    groups = [path for path in (config_dir() / target).iterdir() if path.is_dir() and path.name != "hydra"]
    return {group.name: {path.stem for path in group.glob("*.yaml")} for group in groups}


def columns(target: str) -> Expected:
    with contextlib.closing(connect(None, busy_timeout_s=1)) as database:
        return {row[1]: None for row in database.execute(f"PRAGMA table_info({target})")}


def hooks(target: str) -> Expected:
    return {hook: tuple(inspect.signature(getattr(Callback, hook)).parameters)[3:] for hook in HOOKS}


def members(target: str) -> Expected:
    kind = resolve(target)
    return dict.fromkeys(name for name in {**kind.__annotations__, **vars(kind)} if not name.startswith("_"))


def velocities(target: str) -> Expected:
    return {name: (size, set(positions)) for name, (size, positions) in VELOCITIES.items()}


EXPECTED: dict[str, Callable[[str], Expected]] = {
    "signature": parameters,
    "fields": fields,
    "conf": conf_file,
    "groups": conf_groups,
    "sql": columns,
    "hooks": hooks,
    "members": members,
    "velocities": velocities,
}
NAMES_ONLY = ("sql", "members")
IN_ORDER = ("hooks", "sql")
TABLES = [
    pytest.param(m["kind"], m["target"] or "", m["rows"], id=f"{page.stem}-{m['kind']}-{m['target']}")
    for page in PAGES
    for m in TABLE.finditer(page.read_text())
]


def says(kind: str, cell: str, expected: Any) -> bool:
    """Tell whether a cell says what the code says; one without backticks describes a default in words."""
    codes = re.findall(r"`([^`]*)`", cell)
    if kind in ("hooks", "groups"):
        return bool(type(expected)(codes) == expected)
    if not codes:
        return (expected is REQUIRED) == (not cell)
    value = yaml.safe_load(codes[0]) if kind == "conf" else ast.literal_eval(codes[0])
    return bool(value == expected and type(value) is type(expected))


def numbers(told: str) -> set[int]:
    """Read ``"2 to 4, 7"``."""
    ranges = [re.findall(r"\d+", part) for part in told.split(",")]
    return {n for ends in ranges for n in range(int(ends[0]), int(ends[-1]) + 1)}


@pytest.mark.parametrize(("kind", "target", "rows"), TABLES)
def test_a_table_says_what_the_code_says(kind: str, target: str, rows: str) -> None:
    expected = EXPECTED[kind](target)
    table = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()[2:]]
    if kind == "velocities":
        assert {name.strip("`"): (int(size), numbers(told)) for name, size, told in table} == expected
        return
    documented = [name for first, *_ in table for name in re.findall(r"`(\w+)", first)]
    assert sorted(documented) == sorted(expected)
    if kind in IN_ORDER:
        assert documented == list(expected)
    if kind not in NAMES_ONLY:
        named = [(first.strip("`"), second) for first, second, *_ in table]
        wrong = [f"{n}: {cell!r}; the code: {expected[n]!r}" for n, cell in named if not says(kind, cell, expected[n])]
        assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_name_in_the_text_exists(page: Path) -> None:
    for dotted in re.findall(r"`(velora(?:\.\w+)+)`", page.read_text()):
        resolve(dotted)
