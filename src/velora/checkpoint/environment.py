"""The part of ``metadata.json`` that says which environment an agent was trained in."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, JsonValue


def _check_environment(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    name, kwargs = value.get("id"), value.get("kwargs", {})
    if not isinstance(name, str) or not 1 <= len(name) <= 256:
        raise ValueError(f"id: expected the name of an environment, received {name!a:.80}")
    if not isinstance(kwargs, dict):
        raise ValueError(f"kwargs: expected a dict, received {kwargs!a:.80}")
    wrappers = value.get("wrappers", [])
    if not isinstance(wrappers, list) or not all(map(_is_wrapper, wrappers)):
        raise ValueError(f"wrappers: expected a list of dicts with name and kwargs, received {wrappers!a:.80}")
    others = value.get("others", [])
    if not isinstance(others, list) or not all(isinstance(one, list) and all(map(_is_wrapper, one)) for one in others):
        raise ValueError(f"others: expected lists as of wrappers, received {others!a:.80}")
    limit, missing = value.get("max_episode_steps"), value.get("missing", [])
    if limit is not None and (type(limit) is not int or not 1 <= limit <= 2**53):
        raise ValueError(f"max_episode_steps: expected null or a whole number from 1, received {limit!a:.80}")
    if not isinstance(missing, list) or not all(isinstance(one, str) for one in missing):
        raise ValueError(f"missing: expected a list of texts, received {missing!a:.80}")
    return value


def _is_wrapper(value: JsonValue) -> bool:
    if not isinstance(value, dict) or not value.keys() <= {"name", "kwargs", "statistics"}:
        return False
    is_named = isinstance(value.get("name"), str) and isinstance(value.get("kwargs"), dict)
    return is_named and isinstance(value.get("statistics", {}), dict)


Environment = Annotated[dict[str, JsonValue], AfterValidator(_check_environment)]
"""``id`` (str); ``kwargs`` (dict), ``max_episode_steps``, ``wrappers``, ``others`` and ``missing`` (lists), all
optional; and whatever else the agent keeps."""
