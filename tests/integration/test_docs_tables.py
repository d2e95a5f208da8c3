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

import griffe
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from docs._reference import offer_wrappers
from docs._settings import rendered
from velora.callbacks import HOOKS, Callback
from velora.cli.command.compose import composing, config_dir
from velora.envs.wrappers import KNOWN
from velora.envs.wrappers.drop_observation import VELOCITIES
from velora.metrics.schema import connect
from velora.models.keywords import AGENTS
from velora.training.stock_list import REFUSED, WORKS

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


def conf_groups(target: str) -> Expected:
    """Name the files of every group below ``target``; nothing where they have a table of their own, or pages."""
    groups = [path.name for path in (config_dir() / target).iterdir() if path.is_dir() and path.name != "hydra"]
    elsewhere = {m["target"] for page in PAGES for m in TABLE.finditer(page.read_text()) if m["kind"] == "choices"}
    if {path for path, _ in AGENTS.values()} <= shown():
        elsewhere.add("agent")
    names = {group: f"{target}/{group}".lstrip("/") for group in groups}
    return {group: set() if name in elsewhere else set(choices(name)) for group, name in names.items()}


def shown() -> set[str]:
    """Name the classes whose settings a page shows."""
    return {name for page in PAGES for name in re.findall(r"<!-- settings: (\S+) -->", page.read_text())}


def choices(target: str) -> Expected:
    with composing():
        return dict.fromkeys(GlobalHydra.instance().config_loader().get_group_options(target, ObjectType.CONFIG))


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


def measuring(target: str) -> Expected:
    """Name the callbacks that log, with how often by default."""
    kinds = ("LearningRateMonitor", "GradientMonitor", "Throughput", "DeviceStats")
    return {f"velora.callbacks.{kind}": parameters(f"velora.callbacks.{kind}")["every"] for kind in kinds}


EXPECTED: dict[str, Callable[[str], Expected]] = {
    "signature": parameters,
    "fields": fields,
    "groups": conf_groups,
    "choices": choices,
    "sql": columns,
    "hooks": hooks,
    "members": members,
    "velocities": velocities,
    "measuring": measuring,
    "stock": lambda target: dict(WORKS),
    "refused": lambda target: dict(REFUSED),
}
NAMES_ONLY = ("sql", "members", "choices")
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
    value = ast.literal_eval(codes[0])
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
    if kind in ("stock", "refused"):
        assert {name.strip("`"): told for name, told in table} == expected
        return
    if kind == "measuring":
        assert {name.strip("`"): ast.literal_eval(every.strip("`")) for name, every, _ in table} == expected
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


# ------------------------------------------------------------------------------ tables that are made from the code


DOCS = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_no_marker_of_settings_is_left(page: Path) -> None:
    made = rendered(page.read_text(), str(page.relative_to(ROOT / "docs")))
    assert "<!-- settings:" not in made
    assert "<!-- end -->" not in made


@pytest.mark.parametrize("name", ["ddpg", "td3", "sac", "ppo"])
def test_an_agent_s_page_shows_every_argument_with_its_default(name: str) -> None:
    made = rendered((ROOT / f"docs/tutorial/agents/{name}.md").read_text(), f"tutorial/agents/{name}.md")
    _, _, section = made.partition("\n## Settings\n")
    rows = dict(re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\| .{10,} \|$", section.partition("\n## ")[0], re.M))
    for parameter in inspect.signature(resolve(f"velora.models.Liquid{name.upper()}")).parameters.values():
        shown = rows[parameter.name]
        assert (REQUIRED if shown == "" else ast.literal_eval(shown)) == parameter.default


def test_a_table_leads_to_the_pages_that_tell_more() -> None:
    made = rendered("<!-- settings: velora.models.LiquidPPO -->\n<!-- end -->\n", "tutorial/agents/ppo.md")
    assert "`memoryless`; [more](../../guide/liquid-cells.md#the-cells) |" in made
    assert "(1 to 4,096); [more](ppo.md#several-environments) |" in made


def test_groups_of_the_command_line_show_what_it_composes() -> None:
    made = rendered("<!-- settings: train -->\nof the source\n<!-- end -->\n", "guide/configuration.md")
    assert "| `batch_size` | `256` | windows in one update" in made
    assert "| `n_steps` | `${env.recommended.n_steps}` | environment steps to train for" in made
    assert "for each seed; `null` sets no limit |" in made
    assert "of the source" not in made


def test_the_reference_has_the_wrappers_that_their_package_need_not_name() -> None:
    package: Any = griffe.Module("wrappers")
    package.exports = ["wrap"]
    offer_wrappers(package)
    assert package.exports == ["wrap", *KNOWN]
    assert package.members["HoldAction"].target_path == "velora.envs.wrappers.hold_action.HoldAction"
    offer_wrappers(package)
    assert package.exports == ["wrap", *KNOWN]
