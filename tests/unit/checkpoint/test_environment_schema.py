"""What a checkpoint may say of the environment that it was trained in."""

from __future__ import annotations

from typing import Any

import pytest

from velora.checkpoint.schema import Metadata
from velora.core.errors import CheckpointError

ROW = {"name": "ClipReward", "kwargs": {}, "statistics": {}}


def said(**members: Any) -> Metadata:
    environment = {"id": "Pendulum-v1", "kwargs": {}, **members}
    return Metadata.build(
        {"agent": "liquid_ddpg", "seed": 0, "settings": {}, "optimizers": {}, "environment": environment}
    )


def test_all_of_it_is_kept() -> None:
    members = {"max_episode_steps": 20, "wrappers": [ROW], "others": [[ROW], []], "missing": ["the wrapper Mine"]}
    assert said(**members).environment == {"id": "Pendulum-v1", "kwargs": {}, **members}
    assert said(max_episode_steps=None).environment == {"id": "Pendulum-v1", "kwargs": {}, "max_episode_steps": None}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("max_episode_steps", 0), ("max_episode_steps", -1), ("max_episode_steps", 2.0), ("max_episode_steps", True),
        ("max_episode_steps", "20"), ("max_episode_steps", 2**60), ("missing", "all"), ("missing", [1]),
        ("wrappers", {}), ("wrappers", [{"name": "ClipReward"}]), ("wrappers", [{**ROW, "code": "print()"}]),
        ("wrappers", [{**ROW, "statistics": []}]), ("wrappers", [{**ROW, "name": 3}]), ("others", [ROW]),
        ("others", {}), ("others", [[{}]]),
    ],
)  # fmt: skip
def test_anything_else_is_one_line(member: str, value: Any) -> None:
    with pytest.raises(CheckpointError, match=f"environment: .*{member}: expected") as error:
        said(**{member: value})
    assert "\n" not in str(error.value)
