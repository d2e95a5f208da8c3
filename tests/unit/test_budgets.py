"""A file and a function keep to the lengths that CONTRIBUTING.md states; who can't is named here, with the reason."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE, TESTS = (250, 40), (400, 60)
"""Lines of a file and of a function (without its docstring)."""
BUDGETS = {"src": CODE, "scripts": CODE, "benchmarks": TESTS, "tests": TESTS}

LONG_FILES = {
    "src/velora/training/run_view.py": (350, "the public face of a run; what it is made of has files of its own"),
    "src/velora/training/trainer.py": (350, "a run from its start to its end; what happens in it has files of its own"),
    "src/velora/metrics/store.py": (280, "the rows of a run, a method for each kind"),
    "src/velora/kernels/native/unroll.h": (454, "one loop over time, which is written once for all cells"),
    "src/velora/kernels/backend.py": (404, "the table of kernel calls, one signature each"),
    "src/velora/models/agent.py": (291, "the arguments of train, each with its meaning"),
    "src/velora/callbacks/save_checkpoints.py": (285, "when to save, hook by hook"),
    "src/velora/testing.py": (268, "the contract of agents, which whoever writes one reads whole"),
    "src/velora/models/settings.py": (360, "the one source of settings, an entry each"),
    "src/velora/kernels/native/module.c": (
        345,
        "the functions that Python calls, and the dispatch to one instruction set",
    ),
    "tests/unit/models/test_ppo.py": (516, "an update of PPO by hand, and all that must hold of it"),
    "tests/integration/test_cli_tune.py": (490, "studies as users have them, from one that is made once"),
    "tests/unit/models/test_normalisation.py": (419, "22 small behaviours of one idea"),
}
LONG_FUNCTIONS = {
    "src/velora/training/trainer.py:__init__": (54, "one line a setting"),
    "src/velora/models/agent.py:train": (46, "one line a setting, twice"),
    "src/velora/training/evaluation.py:evaluate": (55, "one loop, in order"),
    "tests/reliability/checkpoint_forgery.py:header_lies": (110, "a list of lies"),
    "tests/unit/models/test_ppo.py:reference_phase": (78, "an update as in the paper, beside ours"),
}


def sources(*suffixes: str) -> Iterator[tuple[str, Path]]:
    for root in BUDGETS:
        for path in sorted((ROOT / root).rglob("*")):
            if path.suffix in suffixes:
                yield root, path


def files() -> dict[str, tuple[int, int]]:
    """Tell the lines of every file, and how many it may have."""
    return {
        path.relative_to(ROOT).as_posix(): (len(path.read_text(encoding="utf-8").splitlines()), BUDGETS[root][0])
        for root, path in sources(".py", ".c", ".h")
    }


def functions() -> dict[str, tuple[int, int]]:
    """Tell the lines of every function without its docstring, and how many it may have."""
    found: dict[str, tuple[int, int]] = {}
    for root, path in sources(".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                text = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) and first.end_lineno else 0
                lines = (node.end_lineno or node.lineno) - node.lineno + 1 - text
                name = f"{path.relative_to(ROOT).as_posix()}:{node.name}"
                found[name] = max(found.get(name, (0, 0)), (lines, BUDGETS[root][1]))
    return found


@pytest.mark.parametrize(("measure", "named"), [(files, LONG_FILES), (functions, LONG_FUNCTIONS)])
def test_nothing_is_longer_than_it_may_be(
    measure: Callable[[], dict[str, tuple[int, int]]], named: dict[str, tuple[int, str]]
) -> None:
    found = measure()
    too_long = {
        name: f"{lines} lines, at most {named.get(name, (limit, ''))[0]}"
        for name, (lines, limit) in found.items()
        if lines > named.get(name, (limit, ""))[0]
    }
    assert not too_long, "split by idea, or name it in this file with the reason"
    needless = [name for name in named if name not in found or found[name][0] <= found[name][1]]
    assert not needless, "these keep to the budget, or are gone: take them off the list"
