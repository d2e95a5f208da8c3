"""A hook of MkDocs: make the live page that the landing page shows in a frame, from an agent that comes with Velora.

It is made when the site is, so no copy of it is kept that could age.
"""

from __future__ import annotations

import functools
from typing import Any

from mkdocs.structure.files import File, Files

import velora
from velora.watch.live import Lane, live_page

PLACE = "viewer.html"
"""Where the page is in the site."""


def on_files(files: Files, *, config: Any) -> Files:
    """Add the page to the site's files; MkDocs calls this before it reads any page."""
    files.append(File.generated(config, PLACE, content=viewer()))
    return files


@functools.cache
def viewer() -> str:
    """Return the page: Pendulum and its policy, both computed in it."""
    lane = Lane.of(velora.zoo("pendulum"), "zoo:pendulum")
    return live_page(lane, command="velora watch zoo:pendulum live=true")
