"""Find out, in a few seconds, whether a server answers."""

from __future__ import annotations

import urllib.error
import urllib.request

ANSWER_S = 3.0
"""Seconds that a server may take to answer."""


def check_answers(url: str) -> None:
    """Ask a web server for anything; that it refuses is an answer too.

    Raises:
        OSError: if there is none within :data:`ANSWER_S`.
        ValueError: if that is no address of the web.
    """
    request = urllib.request.Request(url, method="GET", headers={"User-Agent": "velora"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S):
            pass
    except urllib.error.HTTPError:
        pass
    except urllib.error.URLError as error:
        raise OSError(str(error.reason)) from error


def is_unreachable(error: BaseException | None) -> bool:
    """Return whether an error, or one that it came from, is the network's or the system's: it may pass."""
    while error is not None:
        if isinstance(error, OSError):
            return True
        error = error.__cause__ or error.__context__
    return False
