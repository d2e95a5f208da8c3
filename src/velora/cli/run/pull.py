"""The command ``velora pull``: download a shared agent, verified, into a directory."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from velora.core.errors import SettingError
from velora.core.names import did_you_mean
from velora.core.terminal import say

HELP = """\
Download an agent that velora push shared on a Hub, with its model card, into a new directory.

  velora pull user/name                     # into name/, which commands take like a run
  velora pull user/name out=agents/pole
  velora pull user/name revision=v1.0       # a branch, a tag or a commit

Every file is compared with its digest and read as velora verify reads it, before the directory appears. Nothing in the
files is run. It takes huggingface_hub (the extra hub). Another Hub of the same interface: HF_ENDPOINT.

Settings:
  out=        directory to make; the default is the repository's name, in this directory
  revision=   a branch, a tag or a commit; the default is the newest
"""
SETTINGS = ("out", "revision")


def pull(words: Sequence[str]) -> int:
    """Run ``velora pull`` and return its exit code.

    Raises:
        VeloraError: if a word isn't understood, or the agent can't be had.
    """
    if not words or any(word in ("-h", "--help") for word in words):
        say(HELP)
        return 0
    given = dict[str, str]()
    repos = []
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name in SETTINGS:
            given[name] = value
        elif equals or word.startswith("-"):
            hint = did_you_mean(name.lstrip("-"), SETTINGS, "see velora pull --help")
            raise SettingError(f"pull: no such setting {word}; {hint}")
        else:
            repos.append(word)
    if len(repos) != 1:
        raise SettingError(f"pull: expected one user/name, got {' '.join(repos) or 'none'}; see velora pull --help")
    from velora.hub.pulling import pull as download  # torch, which takes a second

    done = download(repos[0], given.get("out") or None, revision=given.get("revision") or None)
    shown = done.directory.relative_to(Path.cwd()) if done.directory.is_relative_to(Path.cwd()) else done.directory
    say(f"pulled      {shown}: {done.agent}, every file as its digest says\n")
    say(f"commit      {done.commit}\n")
    if done.note:
        say(f"note        {done.note}\n")
    if done.left:
        say(f"left        {len(done.left)} other files of the repository\n")
    say(f"evaluate    velora evaluate {shlex.quote(str(shown))}\n")
    return 0
