"""The workflows can't be run here: they are YAML, name only what is there, and ask for no needless rights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
OTHERS = [ROOT / ".github/dependabot.yml", *sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))]


def name_of(path: Path) -> str:
    return path.name


def steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    return list(job.get("steps", []))


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_is_bounded_and_reads_only(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 180, name
        assert "permissions" not in job or name == "publish", name
        for step in steps(job):
            assert step.get("with", {}).get("persist-credentials") is False or "checkout" not in step.get("uses", "")


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_what_a_workflow_uses_is_pinned_and_there(path: Path) -> None:
    """Actions of GitHub's own by major version; every other tool comes from the registry, at a pinned version."""
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        for used in filter(None, [job.get("uses"), *(step.get("uses") for step in steps(job))]):
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", used) or (ROOT / used).is_file(), used
        for run in (step["run"] for step in steps(job) if "run" in step):
            for named in re.findall(r"(?:tests|\.ci|src)/[\w./-]+", run):
                assert (ROOT / named).exists(), named
            for target in re.findall(r"\bmake ([a-z-]+)", run):
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), target
    tools = (ROOT / ".ci/release-tools.txt").read_text().splitlines()
    assert all(re.fullmatch(r"#.*|[\w-]+==[\d.]+", tool) for tool in tools)


@pytest.mark.parametrize("path", OTHERS, ids=name_of)
def test_the_other_files_are_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_what_is_public_has_a_page_of_the_reference() -> None:
    pages = "".join(page.read_text() for page in (ROOT / "docs/reference/api").glob("*.md"))
    stability = (ROOT / "docs/reference/stability.md").read_text()
    public = re.findall(r"`(velora\.[a-z.]+)`", stability.partition("## Results")[0].partition("| everything else")[0])
    assert len(public) >= 9
    for module in set(public) - {"velora.ops"}:
        assert re.search(rf"^::: {module}\b", pages, re.M), module
