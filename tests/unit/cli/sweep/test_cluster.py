from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from omegaconf import DictConfig

from velora.cli.sweep import cluster
from velora.core.errors import SettingError


def at(address: str | None) -> DictConfig:
    return DictConfig({"launcher": {"ray": {"init": {"address": address}}}})


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_cluster_that_answers_is_no_mistake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
            cluster.prepare(at(address))


@pytest.mark.parametrize("address", [None, "auto", "local"])
def test_a_cluster_that_ray_finds_or_starts_itself_is_not_asked(address: str | None) -> None:
    cluster.prepare(at(address))


def test_a_cluster_that_does_not_answer_is_one_line() -> None:
    port = free_port()
    with pytest.raises(SettingError, match=rf"init\.address: no Ray cluster answers at 127\.0\.0\.1:{port} .*refused"):
        cluster.prepare(at(f"127.0.0.1:{port}"))
    with pytest.raises(SettingError, match=r"no Ray cluster answers at 127\.0\.0\.1:99999"):
        cluster.prepare(at("127.0.0.1:99999"))


def test_the_environment_names_a_cluster_too(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(SettingError, match=rf"RAY_ADDRESS: no Ray cluster answers at 127\.0\.0\.1:{port}"):
        cluster.prepare(at(None))
    cluster.prepare(DictConfig({"launcher": {"n_jobs": 2}}))  # another launcher isn't asked


def test_the_users_token_is_shown_to_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray makes one for the user with the first cluster, and from then on its clusters ask for it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    cluster.prepare(at("auto"))
    assert "RAY_AUTH_MODE" not in os.environ
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").touch()
    cluster.prepare(at(None))
    assert "RAY_AUTH_MODE" not in os.environ
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cluster.prepare(at("auto"))
    assert os.environ["RAY_AUTH_MODE"] == "disabled"
    monkeypatch.delenv("RAY_AUTH_MODE")
    cluster.prepare(at("auto"))
    assert os.environ["RAY_AUTH_MODE"] == "token"
