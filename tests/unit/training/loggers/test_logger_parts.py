"""Small parts of loggers: whether a server answers, variables of the environment, animations, classes."""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger
from PIL import Image, ImageSequence

from velora.training.loggers import animation, reach
from velora.training.loggers.csv_logger import CSVLogger as OurCSVLogger
from velora.training.loggers.kinds import KINDS, Kind, kind_of, named_kind_of
from velora.training.loggers.kinds.variables import Variables


class Refusing(BaseHTTPRequestHandler):
    """Answer that the caller may not."""

    def do_GET(self) -> None:
        self.send_error(403)

    def log_message(self, *args: object) -> None:
        """Keep still."""


@pytest.fixture
def refusing() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes the connection and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_a_server_that_refuses_answers(refusing: str) -> None:
    reach.check_answers(f"{refusing}/health")


def test_nobody_at_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="refused"):
        reach.check_answers(free_address())


def test_a_server_that_says_nothing(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "ANSWER_S", 0.2)
    begun = time.monotonic()
    with pytest.raises(OSError, match="timed out"):
        reach.check_answers(silent)
    assert time.monotonic() - begun < 2


def test_an_error_that_came_from_the_network_may_pass() -> None:
    def wrapped(inner: Exception) -> Exception:
        error = RuntimeError("API request failed")
        error.__context__ = inner  # without a cause, as MLflow raises it
        return error

    assert reach.is_unreachable(wrapped(ConnectionResetError("gone")))
    assert not reach.is_unreachable(wrapped(ValueError("no such metric")))


def test_variables_hold_while_somebody_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VELORA_TEST_SET", "mine")
    first, second = (Variables({"VELORA_TEST_SET": "1", "VELORA_TEST_FREE": "2"}) for _ in range(2))
    first.hold()
    second.hold()
    assert (os.environ["VELORA_TEST_SET"], os.environ["VELORA_TEST_FREE"]) == ("mine", "2")
    first.release()
    first.release()
    assert os.environ["VELORA_TEST_FREE"] == "2"
    second.release()
    assert "VELORA_TEST_FREE" not in os.environ
    assert os.environ["VELORA_TEST_SET"] == "mine"


def test_a_long_wide_animation_becomes_a_small_gif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "MOST_FRAMES", 4)
    frames = [Image.new("RGB", (400, 200), (20 * k, 0, 0)) for k in range(9)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=40, lossless=True)
    data, size = animation.as_gif(tmp_path / "a.webp")
    with Image.open(io.BytesIO(data)) as gif:
        shown = [frame.convert("RGB").getpixel((5, 5)) for frame in ImageSequence.Iterator(gif)]
        assert gif.size == size == (256, 128)
    assert shown == [(0, 0, 0), (60, 0, 0), (120, 0, 0)]


def test_kinds_are_told_by_class(tmp_path: Path) -> None:
    class Mine(TensorBoardLogger):
        pass

    assert named_kind_of(Mine) is named_kind_of(TensorBoardLogger) is KINDS["tensorboard"]
    assert named_kind_of(MLFlowLogger) is KINDS["mlflow"]
    assert named_kind_of(OurCSVLogger) is KINDS["csv"]
    assert named_kind_of(CSVLogger) is None  # it deletes the table of the same directory
    assert type(kind_of(CSVLogger(tmp_path))) is Kind
