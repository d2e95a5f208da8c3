"""The head of a model card, in YAML: what Hubs and leaderboards read."""

from __future__ import annotations

import json
from typing import Any

from velora.hub.scores import Scores

TASK = "reinforcement-learning"
METRIC = "mean_reward"


def front_matter(model: str, environment: str, *, tags: list[str], license_name: str, scores: Scores | None) -> str:
    """Write the head of a card.

    ``model-index`` has the keys that leaderboards of reinforcement learning go by: the metric ``mean_reward`` with the
    value ``"mean +/- standard deviation"``.

    Args:
        model: name of the agent's class.
        environment: identifier; empty if none is known.
        tags: beside the usual ones.
        license_name: such as ``mit``; empty for none.
        scores: what it earned; ``None`` leaves ``model-index`` out.
    """
    fields: dict[str, Any] = {"library_name": "velora", "pipeline_tag": TASK}
    fields["tags"] = [*([environment] if environment else []), TASK, "velora", *tags]
    if license_name:
        fields["license"] = license_name
    if scores is not None:
        metric = {"type": METRIC, "value": scores.in_short, "name": METRIC, "verified": False}
        result = {
            "task": {"type": TASK, "name": TASK},
            "dataset": {"name": scores.environment, "type": scores.environment},
            "metrics": [metric],
        }
        fields["model-index"] = [{"name": model, "results": [result]}]
    return "\n".join(["---", *_block(fields, 0), "---", ""])


def _block(value: Any, depth: int) -> list[str]:
    """Write dictionaries and lists a line for each entry; whatever else is JSON, which YAML reads too."""
    pad, lines = "  " * depth, []
    for key, one in value.items() if isinstance(value, dict) else ((None, entry) for entry in value):
        head = f"{pad}-" if key is None else f"{pad}{key}:"
        if not isinstance(one, dict | list):
            lines.append(f"{head} {json.dumps(one, ensure_ascii=False)}")
        elif key is None:  # the first line of the entry stands beside its hyphen
            first, *rest = _block(one, depth + 1)
            lines += [f"{head} {first.lstrip()}", *rest]
        else:
            lines += [head, *_block(one, depth + 1)]
    return lines
