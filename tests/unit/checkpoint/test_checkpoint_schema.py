"""What metadata may say, how it is written, and how old versions are read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from velora import __version__
from velora.checkpoint import Metadata, json_text, schema
from velora.checkpoint.migrations import MIGRATIONS
from velora.core.errors import CheckpointError

Fields = dict[str, Any]
FILES = {
    name: {"size_bytes": 16, "sha256": "0" * 64} for name in ("model_state.safetensors", "optim_state.safetensors")
}


def test_the_text_is_the_members_in_order_with_a_digest(fields: Fields) -> None:
    raw = Metadata.build(fields | {"files": FILES}).encode("metadata.json")
    document = json.loads(raw)
    assert list(document) == [
        *("schema_version", "velora_version", "agent", "seed", "settings", "optimizers", "environment", "device"),
        *("progress", "files", "metadata_sha256"),
    ]
    assert document["velora_version"] == __version__
    assert raw.startswith(b'{\n  "schema_version": 2,\n')
    assert raw.endswith(b'"\n}\n')
    digest = document.pop("metadata_sha256")
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    assert digest == hashlib.sha256(text.encode()).hexdigest()


def test_what_is_encoded_is_decoded(fields: Fields) -> None:
    metadata = Metadata.build(
        fields
        | {
            "files": FILES | {"train_state.safetensors": {"size_bytes": 0, "sha256": "f" * 64}},
            "environment": {"id": "Pendulum-v1", "kwargs": {"g": 9.81}, "time_limit": 200},
            "train_state": {
                "generator": 2**127,
                "text": "grün \x7f \U0001f600",
                "none": None,
                "tree": [[], {}, [1.5, -0.0]],
            },
        }
    )
    again = Metadata.decode(metadata.encode("metadata.json"), "metadata.json")
    assert again == metadata
    assert again.train_state is not None
    assert str(again.train_state["tree"]) == "[[], {}, [1.5, -0.0]]"


def test_metadata_is_frozen(fields: Fields) -> None:
    with pytest.raises(ValueError, match="frozen"):
        Metadata.build(fields).seed = 4  # type: ignore[misc]


def test_older_versions_are_migrated_one_step_at_a_time() -> None:
    migrations = {
        1: lambda document: {**document, "seed": document["random_seed"]},
        2: lambda document: {key: value for key, value in document.items() if key != "random_seed"},
    }
    old: dict[str, JsonValue] = {"schema_version": 1, "random_seed": 7}
    assert schema.upgrade(old, "m", current=3, migrations=migrations) == {"schema_version": 3, "seed": 7}
    assert schema.upgrade({"schema_version": 3, "seed": 7}, "m", current=3, migrations=migrations)["seed"] == 7
    with pytest.raises(CheckpointError, match="version 1 is too old"):
        schema.upgrade({"schema_version": 1}, "m", current=3, migrations={2: migrations[2]})


def test_every_old_version_has_its_migration() -> None:
    assert set(MIGRATIONS) == set(range(1, schema.SCHEMA_VERSION))


def test_a_newer_version_names_the_release(fields: Fields) -> None:
    document = Metadata.build(fields | {"files": FILES}).document() | {"schema_version": 3, "velora_version": "9.1.0"}
    digest = hashlib.sha256(json_text.canonical(document)).hexdigest()
    raw = json_text.render({**document, "metadata_sha256": digest}, "metadata.json")
    with pytest.raises(CheckpointError, match=r"run/metadata\.json: .* needs a newer Velora.*velora>=9\.1\.0"):
        Metadata.decode(raw, "run/metadata.json")


def test_a_changed_character_is_damage(fields: Fields) -> None:
    raw = Metadata.build(fields | {"files": FILES}).encode("metadata.json")
    for changed in (raw.replace(b"0.0001", b"0.0002"), raw.replace(b'"seed": 3', b'"seed":  3'), raw[:-1]):
        with pytest.raises(CheckpointError, match="damaged"):
            Metadata.decode(changed, "metadata.json")


@pytest.mark.parametrize("version", [1, 2])
def test_the_golden_checkpoint_of_every_version_is_readable(version: int) -> None:
    """Their exact texts; they must stay readable for ever. The first was saved without a run, so that it is not known
    whether its last episode was open: that counts as begun.
    """
    raw = (Path(__file__).parent / f"metadata_v{version}.json").read_bytes()
    metadata = Metadata.decode(raw, f"metadata_v{version}.json")
    assert metadata.agent == "liquid_ddpg"
    assert metadata.schema_version == schema.SCHEMA_VERSION
    assert metadata.progress == schema.Counters(episode=10, step=2000, update=1000, begun=11)
    assert metadata.buffer == {"capacity": 4, "size": 3, "position": 3, "full": False}
    if version == schema.SCHEMA_VERSION:
        assert metadata.encode(f"metadata_v{version}.json") == raw


OPEN: dict[str, Any] = {"running": [5, 7, 0.0]}
CLOSED: dict[str, Any] = {"running": None}


@pytest.mark.parametrize(
    ("train_state", "progress", "begun"),
    [
        ({"lane": CLOSED}, {"episode": 4, "step": 90, "update": 3}, 4),
        ({"lane": OPEN}, {"episode": 4, "step": 90, "update": 3}, 5),
        ({"lane": OPEN}, {"episode": 0, "step": 1, "update": 0}, 1),
        ({"lane": {**OPEN, "others": [CLOSED, OPEN, OPEN]}}, {"episode": 4, "step": 90, "update": 3}, 7),
        ({"lane": {**CLOSED, "others": [CLOSED, OPEN]}}, {"episode": 4, "step": 90, "update": 3}, 5),
        (None, {"episode": 4, "step": 90, "update": 3}, 5),
        (None, {"episode": 0, "step": 7, "update": 0}, 1),
        (None, {"episode": 0, "step": 0, "update": 0}, 0),
        (None, {}, 0),
        ({"best": 3}, {"episode": 4, "step": 90}, 5),
    ],
)
def test_version_1_learns_how_many_episodes_were_begun(train_state: Any, progress: dict[str, int], begun: int) -> None:
    old: dict[str, Any] = {"schema_version": 1, "progress": progress, "train_state": train_state}
    new = schema.upgrade(dict(old), "m")
    assert new == {**old, "schema_version": 2, "progress": {**progress, "begun": begun}}
    assert schema.upgrade({"schema_version": 1}, "m") == {"schema_version": 2, "progress": {"begun": 0}}


def test_version_1_with_the_counter_of_version_2_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"^run/metadata.json: progress.begun: version 1 has no such member"):
        schema.upgrade({"schema_version": 1, "progress": {"begun": 3}}, "run/metadata.json")


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b'{"a": 1, "a": 2}', "'a' appears twice"),
        (b'{"a": {"b": 1, "b": 1}}', "'b' appears twice"),
        (b'{"a": NaN}', "NaN is not a finite number"),
        (b'{"a": -Infinity}', "-Infinity is not a finite number"),
        (b'{"a": 1e400}', "finite number, received inf"),
        (b'{"a": 1' + b"0" * 39 + b"}", "below 2"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "5001 digits"),
        (b"[1]", "expected a JSON object, received list"),
        (b"", "not valid JSON"),
        (b"{}x", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "64 levels of nesting"),
        (b"[" * 1_000_000, "64 levels of nesting"),
        (b'{"a\\"": ' + b"[" * 64, "64 levels of nesting"),
        (b'{"\\\\": ' + b"[" * 64, "64 levels of nesting"),
        (b"[" * 65 + b'\\" "', "64 levels of nesting"),
        (b'{"a": "' + b"[" * 100_000, "not valid JSON"),
        (b'{"a": "' + b"x" * (1 << 20) + b'"}', "at most 1048576 bytes"),
    ],
)
def test_strict_json(raw: bytes, complaint: str) -> None:
    with pytest.raises(CheckpointError) as error:
        json_text.parse(raw, "metadata.json")
    assert str(error.value).startswith("metadata.json: ")
    assert complaint in str(error.value)
    assert len(str(error.value)) < 300


def test_brackets_inside_strings_are_no_nesting() -> None:
    assert json_text.parse(b'{"a": "' + b"[" * 100 + rb"\"{" + b'"}', "m") == {"a": "[" * 100 + '"{'}


def test_nesting_at_the_limit_is_written_and_read() -> None:
    tree: Any = 1
    for _ in range(json_text.MAX_DEPTH - 1):
        tree = [tree]
    document = {"tree": tree}
    assert json_text.parse(json_text.render({"tree": json_text.plain(tree, "tree")}, "m"), "m") == document
    with pytest.raises(CheckpointError, match="levels of nesting"):
        json_text.plain({"a": {"tree": [tree, [tree]]}}, "m")
