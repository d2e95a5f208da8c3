"""A Hub on this machine: the part of the HTTP interface that ``huggingface_hub`` calls, over real sockets.

The client is the library itself. Repositories lie in memory; a commit is one, whole. Faults are switched on by a test.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

TOKEN = "hf_of_the_tests"


@dataclass
class Repo:
    """Repository: its files at every commit, and the names of commits."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes]) -> str:
        """Make a commit of these files, and let ``main`` be it."""
        content = "".join(f"{name} {hashlib.sha256(data).hexdigest()}" for name, data in sorted(files.items()))
        oid = hashlib.sha1(f"{len(self.commits)} {content}".encode(), usedforsecurity=False).hexdigest()
        self.commits[oid], self.names["main"] = files, oid
        return oid

    def at(self, revision: str) -> str | None:
        """Return the commit that a revision stands for."""
        return self.names.get(revision, revision if revision in self.commits else None)


@dataclass
class Hub:
    """What the server holds, what it was asked, and what is wrong with it.

    Attributes:
        stores_apart: names of files that go through the large-file protocol.
        status: answer to everything, where it isn't ``None``.
        changed: files that it sends otherwise than it said, by name.
        cut: how many bytes of a file it sends before it closes the connection; ``None`` for all.
        cuts: how often it does.
    """

    repos: dict[str, Repo] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    stores_apart: str = r"(?!)"
    status: int | None = None
    changed: dict[str, bytes] = field(default_factory=dict)
    cut: int | None = None
    cuts: int = 0
    address: str = ""

    @property
    def files(self) -> dict[str, bytes]:
        """The files of the only repository, newest commit."""
        (repo,) = self.repos.values()
        return repo.commits[repo.names["main"]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub that the client is sent to, with a token of ours and of nobody else."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the large-file protocol instead of its own
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        yield served


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve a Hub on a free port."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while (size := int(self.rfile.readline(), 16)) > 0:
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        if self.hub.status is not None:
            return self._json({"error": "not now"}, self.hub.status)
        for method, pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found is not None and self.command in method:
                return answer(self, body, **found.groupdict())
        return self._json({"error": "no such page"}, 404)

    # ------------------------------------------------------------------------------------------------------- answers

    def _create(self, body: bytes) -> None:
        given = json.loads(body)
        name = f"{given['organization']}/{given['name']}"
        if not self._may_write():
            return
        if name in self.hub.repos:
            self._json({"error": "You already created this model repo", "url": f"{self.hub.address}/{name}"}, 409)
            return
        self.hub.repos[name] = repo = Repo(private=given.get("visibility") == "private")
        repo.commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        self._json({"url": f"{self.hub.address}/{name}", "name": name})

    def _info(self, _: bytes, repo: str, revision: str = "main") -> None:
        if (found := self._find(repo, revision)) is None:
            return
        held, oid = found
        siblings = []
        for name, data in sorted(held.commits[oid].items()):
            one: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": _blob(data)}
            if re.fullmatch(self.hub.stores_apart, name):
                one["lfs"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 130}
            siblings.append(one)
        self._json({"_id": "1", "id": repo, "sha": oid, "private": held.private, "siblings": siblings, "tags": []})

    def _validate(self, body: bytes) -> None:
        head = json.loads(body)["content"].split("---\n")[1]
        problems = [] if isinstance(yaml.safe_load(head), dict) else [{"message": "not a mapping"}]
        self._json({"errors": problems, "warnings": []}, 400 if problems else 200)

    def _preupload(self, body: bytes, repo: str, revision: str) -> None:
        if self._find(repo, revision) is None or not self._may_write():
            return
        names = [one["path"] for one in json.loads(body)["files"]]
        modes = {name: "lfs" if re.fullmatch(self.hub.stores_apart, name) else "regular" for name in names}
        self._json({"files": [{"path": n, "uploadMode": mode, "shouldIgnore": False} for n, mode in modes.items()]})

    def _batch(self, body: bytes, repo: str) -> None:
        if self._find(repo, "main") is None or not self._may_write():
            return
        upload = [
            {**one, "actions": {"upload": {"href": f"{self.hub.address}/large/{one['oid']}"}}}
            for one in json.loads(body)["objects"]
        ]
        self._json({"transfer": "basic", "objects": upload})

    def _take(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            self._json({"error": "another digest"}, 400)
            return
        self.hub.large[oid] = body
        self._json({})

    def _commit(self, body: bytes, repo: str, revision: str) -> None:
        if (found := self._find(repo, revision)) is None or not self._may_write():
            return
        files = dict(found[0].commits[found[1]])
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            match entry["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.large[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        oid = found[0].commit(files)
        self._json({"commitUrl": f"{self.hub.address}/{repo}/commit/{oid}", "commitOid": oid})

    def _file(self, _: bytes, repo: str, revision: str, name: str) -> None:
        if (found := self._find(repo, revision)) is None:
            return
        held, oid = found
        if name not in held.commits[oid]:
            self._fault(404, "EntryNotFound")
            return
        data = held.commits[oid][name]
        headers = {"X-Repo-Commit": oid, "ETag": f'"{_blob(data)}"', "Accept-Ranges": "bytes"}
        sent, status = self.hub.changed.get(name, data), 200
        if (given := self.headers.get("Range")) and self.command == "GET":
            begin = int(given.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {begin}-{len(sent) - 1}/{len(sent)}"
            sent, status = sent[begin:], 206
        self._send(status, sent, {**headers, "Content-Type": "application/octet-stream"})

    # --------------------------------------------------------------------------------------------------------- parts

    def _find(self, repo: str, revision: str) -> tuple[Repo, str] | None:
        """Return a repository and a commit of it, or answer why not."""
        held = self.hub.repos.get(repo)
        if held is None or (held.private and not self._has_token()):
            self._fault(401 if not self._has_token() else 404, "RepoNotFound")
            return None
        oid = held.at(revision)
        if oid is None:
            self._fault(404, "RevisionNotFound")
            return None
        return held, oid

    def _has_token(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _may_write(self) -> bool:
        if not self._has_token():
            self._json({"error": "Invalid username or password."}, 401)
        return self._has_token()

    def _fault(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "Content-Type": "application/json"})

    def _json(self, answer: Any, status: int = 200) -> None:
        self._send(status, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        hub = self.hub
        if hub.cut is not None and hub.cuts > 0 and "/resolve/" in self.path and len(data) > hub.cut:
            hub.cuts -= 1
            self.wfile.write(data[: hub.cut])
            self.close_connection = True
            return
        self.wfile.write(data)


def _blob(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


_REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
_ROUTES = (
    ("POST", r"/api/repos/create", _Handler._create),
    ("POST", r"/api/validate-yaml", _Handler._validate),
    ("GET", rf"/api/models/{_REPO}", _Handler._info),
    ("GET", rf"/api/models/{_REPO}/revision/(?P<revision>.+)", _Handler._info),
    ("POST", rf"/api/models/{_REPO}/preupload/(?P<revision>.+)", _Handler._preupload),
    ("POST", rf"/api/models/{_REPO}/commit/(?P<revision>.+)", _Handler._commit),
    ("POST", rf"/{_REPO}\.git/info/lfs/objects/batch", _Handler._batch),
    ("PUT", r"/large/(?P<oid>\w+)", _Handler._take),
    ("GET HEAD", rf"/{_REPO}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", _Handler._file),
)
