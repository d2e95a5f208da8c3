"""A hook of MkDocs: make the page that the landing page shows in a frame, from an agent that comes with Velora.

It is made when the site is, so no copy of it is kept that could age.
"""

from __future__ import annotations

import functools
from typing import Any

from mkdocs.structure.files import File, Files

import velora
from velora.watch.page import watch_page
from velora.watch.trace import trace

PLACE = "viewer.html"
"""Where the page is in the site."""


def on_files(files: Files, *, config: Any) -> Files:
    """Add the page to the site's files; MkDocs calls this before it reads any page."""
    files.append(File.generated(config, PLACE, content=viewer()))
    return files


_DARK = "<style>@media (prefers-color-scheme: dark) { .task img { filter: invert(.88) hue-rotate(180deg) } }</style>"
"""Pictures of the task are drawn on white."""


@functools.cache
def viewer() -> str:
    """Return the page: an episode of Pendulum, with the circuit at work.

    Where there is ``velora.watch.live``, ``live_page(Lane.of(velora.zoo("pendulum")))`` is what belongs here.
    """
    episode = trace(velora.zoo("pendulum"), "Pendulum-v1", seed=7, pictures=True)
    return watch_page(episode, command="velora watch zoo:pendulum seed=7").replace("</head>", f"{_DARK}</head>")
