"""A real browser to open pages in: headless Chromium, spoken to in its own protocol over a socket of this machine."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_START_S = 60.0


class Browser:
    """One page of a browser.

    Attributes:
        errors: what went wrong in pages so far: exceptions, refused or failed requests, messages of the console.
        requests: addresses that were asked for.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._ids = itertools.count(1)
        self._loaded = 0
        self.errors: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol, note what happens meanwhile, and return its result."""
        number = next(self._ids)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(timeout=_START_S))
            if message.get("id") == number:
                if "navigated" in message.get("error", {}).get("message", ""):  # a page that has just gone was asked
                    return self.call(method, **parameters)
                assert "error" not in message, (method, message["error"])
                result: dict[str, Any] = message["result"]
                return result
            self._note(message.get("method"), message.get("params", {}))

    def open(
        self,
        page: Path | str,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        paper: bool = False,
        still: bool = False,
    ) -> None:
        """Open a file or an address, and wait until it is there; ``still`` asks it for less motion."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}
        self.call("Emulation.setEmulatedMedia", media="print" if paper else "screen", features=[scheme, motion])
        before = self._loaded
        self.call("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        deadline = time.monotonic() + _START_S
        while self._loaded == before:
            assert time.monotonic() < deadline, f"{page} did not load"
            self.ask("0")

    def ask(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def point(self, x: float, y: float) -> None:
        """Move the pointer to a place of the window, in pixels."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def pointer(self, kind: str, x: float, y: float) -> None:
        """Press, move or release the left button there: ``mousePressed``, ``mouseMoved``, ``mouseReleased``."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def click(self, x: float, y: float) -> None:
        """Click there."""
        for kind in ("mousePressed", "mouseReleased"):
            self.pointer(kind, x, y)

    def press(self, key: str) -> None:
        """Press and release a key, such as ``ArrowLeft``."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def shoot(self, picture: Path, *, whole: bool = False) -> Path:
        """Save what is seen as PNG; the whole page, or as much as the window shows."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        picture.write_bytes(base64.b64decode(shot["data"]))
        return picture

    def _note(self, event: str | None, about: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded += 1
        elif event == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(about["exceptionDetails"]))
        elif event == "Log.entryAdded":
            self.errors.append(about["entry"]["text"])
        elif event == "Runtime.consoleAPICalled":
            self.errors.append(json.dumps(about["args"]))
        elif event == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """Start a browser, which keeps its files in a folder, and end it afterwards.

    Skips the test where there is none.
    """
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser ({', '.join(NAMES)}); get one by apt-get install chromium")
    client = pytest.importorskip("websockets.sync.client", reason="websockets is missing; pip install websockets")
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    words += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "--hide-scrollbars", "about:blank"]
    with subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            # No pings: a browser that a busy machine keeps waiting has not gone away.
            options = {"max_size": None, "proxy": None, "ping_interval": None}
            with client.connect(_address(folder / "DevToolsActivePort"), **options) as connection:
                yield Browser(connection)
        finally:
            process.terminate()
            process.wait(_START_S)


def _address(port_file: Path) -> str:
    """Wait until the browser listens, and return where its first page is spoken to."""
    deadline = time.monotonic() + _START_S
    while True:
        try:
            port = int(port_file.read_text().split()[0])
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"http://127.0.0.1:{port}/json/list"
            ) as answer:
                return next(str(one["webSocketDebuggerUrl"]) for one in json.load(answer) if one["type"] == "page")
        except (OSError, IndexError, ValueError, StopIteration):
            assert time.monotonic() < deadline, "the browser doesn't listen"
            time.sleep(0.05)
