from __future__ import annotations

import socket

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
            cluster.check(at(address))


@pytest.mark.parametrize("address", [None, "auto", "local"])
def test_a_cluster_that_ray_finds_or_starts_itself_is_not_asked(address: str | None) -> None:
    cluster.check(at(address))


def test_a_cluster_that_does_not_answer_is_one_line() -> None:
    port = free_port()
    with pytest.raises(SettingError, match=rf"init\.address: no Ray cluster answers at 127\.0\.0\.1:{port} .*refused"):
        cluster.check(at(f"127.0.0.1:{port}"))
    with pytest.raises(SettingError, match=r"no Ray cluster answers at 127\.0\.0\.1:99999"):
        cluster.check(at("127.0.0.1:99999"))


def test_the_environment_names_a_cluster_too(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(SettingError, match=rf"RAY_ADDRESS: no Ray cluster answers at 127\.0\.0\.1:{port}"):
        cluster.check(at(None))
    cluster.check(DictConfig({"launcher": {"n_jobs": 2}}))  # another launcher isn't asked
