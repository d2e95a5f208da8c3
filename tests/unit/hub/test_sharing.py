"""Pushing and pulling through ``huggingface_hub`` itself, against a Hub on this machine; every fault is one line."""

from __future__ import annotations

import logging
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

import velora
from tests import hub as local
from tests.hub import Hub, hub
from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError, HubError, VeloraError
from velora.hub import pull, push, write_folder
from velora.models import Agent, LiquidDDPG, LiquidTD3

pytest.importorskip("huggingface_hub", reason="needs huggingface_hub: pip install 'velora-rl[hub]'")
__all__ = ["hub"]
REPO, MODEL = "ada/pole", "checkpoints/final/model_state.safetensors"


@pytest.fixture(scope="module")
def agent() -> LiquidTD3:
    return LiquidTD3(4, 10, 1, seed=3, critic_units=[8], device="cpu")


@pytest.fixture
def folder(agent: Agent, tmp_path: Path) -> Path:
    write_folder(tmp_path / "folder", agent, REPO)
    return tmp_path / "folder"


def acts_alike(one: Agent, other: Agent) -> bool:
    return bool(np.array_equal(one.predict([0.1, 0.2, 0.3, 0.4])[0], other.predict([0.1, 0.2, 0.3, 0.4])[0]))


def said(error: pytest.ExceptionInfo[VeloraError], *words: str) -> None:
    text = str(error.value)
    assert "\n" not in text
    assert all(word in text for word in words), text


@pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # of the client, as it sends a large file
@pytest.mark.parametrize("stores_apart", [r"(?!)", r".*\.safetensors"], ids=["in git", "large files"])
def test_an_agent_goes_there_and_back(
    hub: Hub, agent: LiquidTD3, folder: Path, tmp_path: Path, stores_apart: str, caplog: pytest.LogCaptureFixture
) -> None:
    hub.stores_apart = stores_apart
    done = push(folder, REPO, private=True)
    assert done.address == f"{hub.address}/{REPO}"
    assert hub.repos[REPO].private
    assert hub.files == {".gitattributes": hub.files[".gitattributes"]} | {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert bool(hub.large) == (stores_apart != r"(?!)")
    with caplog.at_level(logging.INFO, logger="velora.models.pretrained"):
        assert acts_alike(agent, LiquidTD3.from_pretrained(REPO))
    assert done.commit[:12] in caplog.text
    assert acts_alike(agent, velora.from_pretrained(REPO))

    pulled = pull(REPO, tmp_path / "got")
    assert (pulled.commit, pulled.agent, pulled.left) == (done.commit, "liquid_td3", ())
    assert acts_alike(agent, velora.load(pulled.checkpoint))
    assert sorted(path.name for path in pulled.directory.iterdir()) == ["README.md", "checkpoints", "wiring.svg"]
    assert velora.verify(pulled.directory).is_whole


def test_an_older_revision_can_be_asked_for(hub: Hub, agent: LiquidTD3, folder: Path, tmp_path: Path) -> None:
    first = push(folder, REPO)
    hub.repos[REPO].names["v1"] = first.commit
    other = LiquidTD3(4, 10, 1, seed=4, critic_units=[8], device="cpu")
    write_folder(tmp_path / "second", other, REPO)
    second = push(tmp_path / "second", REPO)
    assert acts_alike(other, LiquidTD3.from_pretrained(REPO))
    for revision in ("v1", first.commit):
        assert acts_alike(agent, LiquidTD3.from_pretrained(REPO, revision=revision))
    assert pull(REPO, tmp_path / "new").commit == second.commit
    with pytest.raises(HubError) as caught:
        pull(REPO, tmp_path / "none", revision="v9")
    said(caught, REPO, "no revision 'v9'")


def test_files_of_the_checkpoint_before_go(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push(folder, REPO)
    stale = {"checkpoints/final/buffer_state.safetensors": b"old", "notes.txt": b"mine"}
    hub.repos[REPO].commit({**hub.files, **stale})
    with pytest.raises(CheckpointError, match="not listed"):
        LiquidTD3.from_pretrained(REPO)
    push(folder, REPO)
    assert "checkpoints/final/buffer_state.safetensors" not in hub.files
    assert hub.files["notes.txt"] == b"mine"
    assert pull(REPO, tmp_path / "got").left == ("notes.txt",)


def test_an_agent_that_is_already_there_makes_no_commit(hub: Hub, folder: Path) -> None:
    push(folder, REPO)
    assert len(hub.repos[REPO].commits) == 2
    assert push(folder, REPO).commit == hub.repos[REPO].names["main"]


def test_a_checkpoint_at_the_top_of_a_repository_is_found(
    hub: Hub, agent: LiquidTD3, folder: Path, tmp_path: Path
) -> None:
    hub.repos[REPO] = local.Repo()
    home = folder / "checkpoints" / "final"
    hub.repos[REPO].commit({path.name: path.read_bytes() for path in home.iterdir()} | {"train.py": b"import os"})
    assert acts_alike(agent, LiquidTD3.from_pretrained(REPO))
    pulled = pull(REPO, tmp_path / "got")
    assert acts_alike(agent, velora.load(pulled.checkpoint))
    assert pulled.left == ("train.py",)


@pytest.mark.parametrize("name", ["model_state.safetensors", "metadata.json", "README.md"])
@pytest.mark.parametrize("lies", [False, True], ids=["on the way", "in the repository"])
def test_other_bytes_are_refused(hub: Hub, folder: Path, tmp_path: Path, name: str, lies: bool) -> None:
    push(folder, REPO)
    place = name if name == "README.md" else f"checkpoints/final/{name}"
    data = bytearray(hub.files[place])
    data[-9] ^= 1
    if lies:  # the Hub's own digest is that of the changed file
        hub.repos[REPO].commit({**hub.files, place: bytes(data)})
    else:
        hub.changed[place] = bytes(data)
    if lies and name == "README.md":
        pull(REPO, tmp_path / "got")  # nobody vouches for a text but the Hub
        return
    with pytest.raises(VeloraError) as caught:
        pull(REPO, tmp_path / "got")
    said(caught, REPO)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]
    if name != "README.md":
        with pytest.raises(VeloraError):
            LiquidTD3.from_pretrained(REPO)


def test_another_agent_and_an_unknown_one(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push(folder, REPO)
    with pytest.raises(CheckpointError) as caught:
        LiquidDDPG.from_pretrained(REPO)
    said(caught, f"{REPO} at ", "holds a 'liquid_td3' agent", "LiquidTD3.load")


def test_a_download_that_breaks_off_goes_on(hub: Hub, agent: LiquidTD3, folder: Path) -> None:
    push(folder, REPO)
    hub.cut, hub.cuts = 2000, 1
    assert acts_alike(agent, LiquidTD3.from_pretrained(REPO))
    assert hub.cuts == 0


@pytest.mark.slow
def test_a_download_that_never_gets_on_leaves_nothing(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push(folder, REPO)
    hub.cut, hub.cuts = 0, 1000
    with pytest.raises(HubError) as caught:
        pull(REPO, tmp_path / "got")
    said(caught, REPO, "can't be reached, or broke off")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def test_a_download_that_ends_too_soon_leaves_nothing(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push(folder, REPO)
    hub.changed[MODEL] = hub.files[MODEL][:-100]
    with pytest.raises(HubError) as caught:
        pull(REPO, tmp_path / "got")
    said(caught, REPO, "its digest isn't the one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


@pytest.mark.parametrize("status", [503, 429, 403])
def test_a_hub_that_refuses(hub: Hub, folder: Path, tmp_path: Path, status: int) -> None:
    hub.status = status
    for attempt in (lambda: pull(REPO, tmp_path / "got"), lambda: push(folder, REPO)):
        with pytest.raises(HubError) as caught:
            attempt()
        said(caught, REPO, hub.address, str(status), "log in" if status == 403 else "try again later")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def test_something_else_that_answers(hub: Hub, tmp_path: Path) -> None:
    hub.status = 200
    with pytest.raises(HubError) as caught:
        pull(REPO, tmp_path / "got")
    said(caught, REPO, hub.address, "HF_ENDPOINT")


def test_a_hub_that_is_down(monkeypatch: pytest.MonkeyPatch, hub: Hub, folder: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", nobody)
    for attempt in (lambda: pull(REPO, tmp_path / "got"), lambda: push(folder, REPO)):
        with pytest.raises(HubError) as caught:
            attempt()
        said(caught, REPO, nobody, "can't be reached")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def test_no_such_repository_and_no_checkpoint_in_one(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(HubError) as caught:
        pull(REPO, tmp_path / "got")
    said(caught, REPO, "has no such repository")
    hub.repos[REPO] = local.Repo()
    hub.repos[REPO].commit({"model.bin": b"pickle"})
    with pytest.raises(HubError) as caught:
        LiquidTD3.from_pretrained(REPO)
    said(caught, REPO, "holds no checkpoint of Velora")


def test_the_library_is_missing(monkeypatch: pytest.MonkeyPatch, hub: Hub, folder: Path, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for attempt in (lambda: pull(REPO, tmp_path / "got"), lambda: push(folder, REPO)):
        with pytest.raises(HubError) as caught:
            attempt()
        said(caught, "huggingface_hub isn't installed", "pip install", "hub]")
    assert hub.asked == []


def test_no_token(monkeypatch: pytest.MonkeyPatch, hub: Hub, folder: Path) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError) as caught:
        push(folder, REPO)
    said(caught, REPO, "needs a token")
    assert hub.asked == []
    monkeypatch.setenv("HF_TOKEN", "hf_of_another")
    with pytest.raises(HubError) as caught:
        push(folder, REPO)
    said(caught, "401", "log in")


def test_a_private_repository_is_nobody_elses(monkeypatch: pytest.MonkeyPatch, hub: Hub, folder: Path) -> None:
    push(folder, REPO, private=True)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError) as caught:
        LiquidTD3.from_pretrained(REPO)
    said(caught, "has no such repository, or doesn't show it", "HF_TOKEN")


@pytest.mark.parametrize("name", ["pole", "a/b/c", "", "../pole", "ada/po le"])
def test_a_name_that_is_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="expected a repository as user/name"):
        pull(name, tmp_path / "got")


def test_a_directory_that_is_there_stays(hub: Hub, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(HubError) as caught:
        pull(REPO, folder)
    said(caught, str(folder), "is there already")
    assert hub.asked == []
    assert Checkpoint.open(folder / "checkpoints" / "final").metadata.agent == "liquid_td3"
