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


Lie = Callable[[Path], None]
Change = Callable[[dict[str, Any]], object]
Rewrite = Callable[[bytes], bytes]
MODEL = "model_state.safetensors"
COUNTERS = ("progress/episode", "progress/step", "progress/update", "progress/begun")


def header_lies() -> dict[str, Lie]:
    """List tensor files that are malformed, or hold other tensors than the agent expects."""
    lies: dict[str, Lie] = {}

    def table(name: str, change: Change, data: Rewrite = bytes) -> None:
        def lie(directory: Path) -> None:
            header, content = split((directory / MODEL).read_bytes())
            change(header)
            forge(directory, contents={MODEL: tensor_file(header, data(content))})

        lies[f"header: {name}"] = lie

    def raw(name: str, content: Rewrite) -> None:
        lies[f"file: {name}"] = lambda directory: forge(
            directory, contents={MODEL: content((directory / MODEL).read_bytes())}
        )

    weight, bias = "actor.cell.weight", "actor.cell.bias"

    def rename(name: str) -> Change:
        return lambda h: h.update({name: h.pop(bias)})

    def describe(**members: object) -> Change:
        return lambda h: h[bias].update(members)

    def end_with(value: bytes) -> Rewrite:
        return lambda data: data[:-4] + value

    def headed(text: bytes) -> Rewrite:
        return lambda _: tensor_file(text, b"")

    table("tensor missing", lambda h: h.pop(weight))
    table("all missing", lambda h: h.clear(), lambda _: b"")
    table("tensor added", lambda h: h.update(extra={"dtype": "F32", "shape": [0], "data_offsets": [336, 336]}))
    table("tensor renamed", lambda h: h.update(other=h.pop(bias)))
    table("two tensors exchanged", lambda h: h.update({weight: h[bias], bias: h[weight]}))
    table("same bytes twice", lambda h: h.update(copy=h[bias]))
    table("__metadata__", lambda h: h.update(__metadata__={"a": "b"}))
    for name in ("../../etc/passwd", "/abs", "a\0b", ".hidden", "", "ä", "a" * 300, "a\nb", "C:\\x", "\ud800"):
        table(f"name {ascii(name)[:20]}", rename(name))
    dtypes: list[object] = ["I32", "F16", "F64", "C64", "F8_E4M3", "f32", "", "object", 1, None, ["F32"], {}]
    for dtype in dtypes:
        table(f"dtype {dtype}", describe(dtype=dtype))
    shapes: list[object] = [
        *([6], [6, 1], [1, 6, 1], [2, 3], [1, 5], [1, 7], [-1, -6], [1.0, 6.0], [True, 6], ["1", "6"], None, 6, "1,6"),
        *([2**62, 4], [2**40, 0], [1] * 9 + [6], [2**63, 2**63, 0], {}, [[1], [6]], [10**30], [0]),
    ]
    for shape in shapes:
        table(f"shape {ascii(shape)[:24]}", describe(shape=shape))
    places: list[object] = [
        *([0, 24], [-24, 0], [216, 2**62], [216], [216, 240, 264], None, "0,24", [216.0, 240.0], [240, 216], {}),
        *([True, 25], [10**30, 10**30 + 24], [215, 239], [217, 241]),
    ]
    for offsets in places:
        table(f"offsets {offsets}", describe(data_offsets=offsets))
    table("member missing", lambda h: h[bias].pop("shape"))
    table("member added", lambda h: h[bias].update(path="x"))
    table("row is a list", lambda h: h.update({bias: [1, 2]}))
    table("row is null", lambda h: h.update({bias: None}))
    table("data too long", lambda h: None, lambda data: data + b"\0")
    table("data too short", lambda h: None, lambda data: data[:-1])
    table("10,001 tensors", lambda h: h.update(many(10_001)))
    for value, name in ((b"\0\0\xc0\x7f", "NaN"), (b"\0\0\x80\x7f", "infinity"), (b"\0\0\x80\xff", "-infinity")):
        table(f"weight {name}", lambda h: None, end_with(value))
    raw("empty", lambda _: b"")
    raw("eight bytes", lambda _: bytes(8))
    raw("header length 2**63", lambda r: (2**63).to_bytes(8, "little") + r[8:])
    raw("header length 2**64 - 1", lambda r: b"\xff" * 8 + r[8:])
    raw("header longer than the file", lambda r: len(r).to_bytes(8, "little") + r[8:])
    raw("header over 1 MiB", lambda r: tensor_file(json.dumps(split(r)[0]).encode().ljust((1 << 20) + 1), split(r)[1]))
    raw("header of 100 MB", lambda r: tensor_file(b" " * 100_000_000, b""))
    raw("header with a key twice", lambda r: tensor_file(twice(split(r)[0], bias), split(r)[1]))
    for text in (
        b"[]",
        b"null",
        b"1",
        b"{",
        b"\xff{}",
        b"\xef\xbb\xbf{}",
        b"[" * 500_000,
        b'{"a":' * 100_000,
        b"{}{}",
        b'"',
    ):
        raw(f"header {text[:8]!r}", headed(text))
    raw("a zip file", lambda _: b"PK\x03\x04" + bytes(100))
    raw("a pickle", lambda _: b"\x80\x04cos\nsystem\n(S'true'\ntR.")

    def boolean_two(directory: Path) -> None:
        name = "buffer_state.safetensors"
        header, data = split((directory / name).read_bytes())
        begin = header["terminated"]["data_offsets"][0]
        forge(directory, contents={name: tensor_file(header, data[:begin] + b"\2" + data[begin + 1 :])})

    lies["header: boolean that is 2"] = boolean_two
    return lies


def many(count: int) -> dict[str, Any]:
    """Describe that many empty tensors."""
    return {f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(count)}


def twice(header: dict[str, Any], name: str) -> bytes:
    """Write a header in which one name appears twice, with equal content."""
    return json.dumps(header).encode()[:-1] + b"," + json.dumps({name: header[name]}).encode()[1:]


def metadata_lies() -> dict[str, Lie]:
    """List metadata that is signed and impossible."""
    lies: dict[str, Lie] = {}

    def member(path: str, *values: object) -> None:
        *parents, last = path.split("/")

        def lie(value: object) -> Lie:
            def change(document: dict[str, Any]) -> None:
                for parent in parents:
                    document = document[parent]
                document[last] = value

            return lambda directory: forge(directory, metadata=change)

        for value in values:
            lies[f"metadata: {path} = {ascii(value)[:40]}"] = lie(value)

    def without(name: str) -> Lie:
        return lambda directory: forge(directory, metadata=lambda document: document.pop(name))

    numbers: tuple[object, ...] = (-1, 1.0, True, "1", None, [], {}, 2**63, 10**39)
    texts: tuple[object, ...] = (1, None, True, [], {}, "", "a b", "../x", "a\0", "x" * 300, "\ud800", "ü")
    mappings: tuple[object, ...] = (1, None, True, "x", [], [1])
    member("schema_version", *numbers, 0, 1, 3, 99)
    member("velora_version", *texts)
    member("agent", *texts, "1a", "a/b")
    member("seed", *numbers, 2**32)
    member("device", 1, None, True, [], "x" * 65)
    for path in ("settings", "optimizers", "optimizers/actor", "progress", "files"):
        member(path, *mappings)
    for path in (*COUNTERS, "buffer/size", "buffer/extra"):
        member(path, *(value for value in numbers if not (path == "buffer/extra" and value is True)))
    member("buffer/capacity", *numbers, 0, 7, 10**9 + 1)
    member("buffer/size", 9, 10**9)
    member("buffer/position", *numbers, 8, 10**9)
    member("buffer", *mappings, {}, {"capacity": 8})
    member("train_state", *mappings)
    member("environment", 1, "x", [], {}, {"id": 1}, {"id": ""}, {"id": "a", "kwargs": []}, {"id": "x" * 300})
    member("optimizers/actor/lr", {}, {"a": 1}, [[1]], [{}])
    member("unknown", 1, None, "x")
    for path in ("size_bytes", "sha256"):
        member(f"files/{MODEL}/{path}", *numbers, "0" * 64, "F" * 64, "g" * 64, 2**48 + 1)
    member(f"files/{MODEL}", *mappings, {}, {"size_bytes": 1})
    info = {"size_bytes": 0, "sha256": "0" * 64}
    for name in ("../../etc/passwd", "/etc/passwd", "metadata.json", "other.safetensors", "", "model_state", "a\0"):
        member(f"files/{name}" if "/" not in name else "files", *([info] if "/" not in name else [{name: info}]))
    for name in ("agent", "seed", "settings", "optimizers", "files", "schema_version", "buffer", "train_state"):
        lies[f"metadata: without {name}"] = without(name)
    return {**lies, **text_lies()}


def text_lies() -> dict[str, Lie]:
    """List JSON texts that two readers would understand differently, or that are made to hurt one."""
    lies: dict[str, Lie] = {}

    def text(name: str, change: Rewrite) -> None:
        def lie(directory: Path) -> None:
            path = directory / "metadata.json"
            path.write_bytes(change(path.read_bytes()))

        lies[f"text: {name}"] = lie

    def gamma(value: bytes) -> Rewrite:
        return lambda raw: raw.replace(b"0.99", value)

    for value in (
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e400",
        b"-1e999",
        b"9" * 5000,
        b"1" + b"0" * 39,
        b"00.99",
        b".99",
    ):
        text(f"gamma {value[:10]!r}", gamma(value))
    text("same number, other spelling", lambda raw: raw.replace(b"0.99", b"0.990"))
    text("same key twice", lambda raw: raw.replace(b'"gamma"', b'"gamma": 0.99,\n    "gamma"'))
    text("same file twice", lambda raw: raw.replace(b'"files"', b'"files": {},\n  "files"'))
    text("compact", lambda raw: json.dumps(json.loads(raw), separators=(",", ":")).encode())
    text("sorted", lambda raw: (json.dumps(json.loads(raw), sort_keys=True, indent=2) + "\n").encode())
    text("CRLF", lambda raw: raw.replace(b"\n", b"\r\n"))
    text("byte order mark", lambda raw: b"\xef\xbb\xbf" + raw)
    text("UTF-16", lambda raw: raw.decode().encode("utf-16"))
    text("comment", lambda raw: raw + b"// x")
    text("without its digest", lambda raw: raw[: raw.index(b',\n  "metadata_sha256"')] + b"\n}\n")
    text("deep", lambda raw: raw.replace(b"0.99", b"[" * 100_000 + b"]" * 100_000))
    text("very deep", lambda raw: b"[" * 1_000_000)
    text("deep objects", lambda raw: b'{"a":' * 200_000)
    text("over 1 MiB", lambda raw: raw + b" " * (1 << 20))
    text("100 MB", lambda raw: b" " * 100_000_000)
    text("empty", lambda raw: b"")
    text("null", lambda raw: b"null\n")
    text("a list", lambda raw: b"[" + raw + b"]")
    text("not UTF-8", lambda raw: raw.replace(b"liquid", b"liqu\xffd"))
    return lies


LIES: dict[str, Lie] = {**header_lies(), **metadata_lies()}
