"""Write checkpoints that lie: bad content under valid digests, as a careful attacker or a broken writer would."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from velora.checkpoint import json_text


def tensor_file(header: object, data: bytes) -> bytes:
    """Put a header (JSON, or its bytes) and data together."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def split(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """Take a tensor file apart."""
    end = 8 + int.from_bytes(raw[:8], "little")
    return json.loads(raw[8:end]), raw[end:]


def sign(document: Mapping[str, Any]) -> bytes:
    """Write a document with a valid digest of its own."""
    digest = hashlib.sha256(json_text.canonical(document)).hexdigest()
    return (json.dumps({**document, "metadata_sha256": digest}, indent=2) + "\n").encode()


def forge(
    directory: Path,
    *,
    contents: Mapping[str, bytes] | None = None,
    metadata: Callable[[dict[str, Any]], object] | None = None,
) -> None:
    """Replace tensor files and change the metadata, and make every digest fit."""
    path = directory / "metadata.json"
    document = json.loads(path.read_bytes())
    del document["metadata_sha256"]
    for name, raw in (contents or {}).items():
        (directory / name).write_bytes(raw)
        document["files"][name] = {"size_bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    if metadata is not None:
        metadata(document)
    path.write_bytes(sign(document))
