"""What a sweep was asked for: the words of its command, kept in its directory so that nobody has to type them again.

It is no state: how the jobs stand is in their own directories (:mod:`velora.analysis.outcome`), and the same words give
the same directories on any machine.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hydra.core.override_parser.types import Override

from velora.analysis import outcome
from velora.cli.command.arguments import CONFIG_DIR, Arguments, written
from velora.cli.run.run_directory import CONFIG
from velora.cli.settings import budget
from velora.cli.sweep.plan import Plan
from velora.core import disk, small_json
from velora.core.errors import RunDirectoryError, SettingError

FILE: Final = outcome.SWEEP
_OF_ONE_COMMAND: Final = ("resume", "retry", "sweep")
_SEARCHPATH: Final = "hydra.searchpath"


@dataclass(frozen=True)
class Description:
    """Content of ``sweep.json``.

    Attributes:
        words: the settings that were given, but those of Hydra's: how jobs are run is said each time.
        options: Hydra's option of a directory of configuration files, if it was given.
        jobs: name and differing words of each job.
    """

    words: tuple[str, ...]
    options: tuple[str, ...]
    jobs: tuple[tuple[str, tuple[str, ...]], ...]


def describe(arguments: Arguments, plan: Plan) -> Description:
    """Describe a sweep by its command and its jobs."""
    last = {one.key_or_group: one.input_line or "" for one in arguments.parsed() if _makes_jobs(one)}
    words = [word for word in last.values() if not budget.is_added(word)]
    extra = arguments.option(*CONFIG_DIR)
    options = ("--config-dir", str(Path(extra).absolute())) if extra else ()
    return Description(tuple(words), options, tuple((job.name, job.words) for job in plan.jobs))


def is_sweep(path: Path) -> bool:
    """Return whether a directory is that of a sweep."""
    return (path / FILE).is_file()


def load(directory: Path) -> Description:
    """Read the description of a sweep.

    Raises:
        RunDirectoryError: if it can't be read.
    """
    path = directory / FILE
    kept = small_json.read(path)
    try:
        jobs = tuple((str(job["name"]), tuple(map(str, job["words"]))) for job in kept["jobs"])
        return Description(tuple(map(str, kept["words"])), tuple(map(str, kept["options"])), jobs)
    except (TypeError, KeyError) as error:
        raise RunDirectoryError(
            f"{path} describes no sweep; repeat the command of the sweep with hydra.sweep.dir={directory}"
        ) from error


def save(directory: Path, description: Description) -> None:
    """Write the description in one step.

    Raises:
        RunDirectoryError: if the directory can't be written.
    """
    jobs = [{"name": name, "words": list(words)} for name, words in description.jobs]
    content = {"words": list(description.words), "options": list(description.options), "jobs": jobs}
    try:
        small_json.write(directory / FILE, content)
    except OSError as error:
        raise RunDirectoryError(
            f"{directory} can't be written ({error.strerror}); choose another hydra.sweep.dir"
        ) from error


def check_same(directory: Path, description: Description) -> None:
    """Refuse a command that isn't that of the sweep in a directory; it may ask for more jobs, or longer ones.

    Raises:
        SettingError: if a job of the sweep is missing; it says which words differ.
        RunDirectoryError: if the directory holds a single run.
    """
    if (directory / CONFIG).exists():
        raise RunDirectoryError(f"{directory} holds a run, not a sweep; choose another hydra.sweep.dir")
    if not is_sweep(directory):
        return
    known = load(directory)
    missing = {name for name, _ in known.jobs} - {name for name, _ in description.jobs}
    if not missing:
        return
    differing = _differences(known.words, description.words) or [f"{len(missing)} of its jobs are missing"]
    raise SettingError(
        f"{directory} holds another sweep ({'; '.join(differing)}); keep its values (more may be added), or choose "
        "another hydra.sweep.dir"
    )


def going_on(directory: Path, arguments: Arguments) -> Arguments:
    """Make the command line that goes on with a sweep: its words, with those given now in their place.

    A file in a directory shouldn't decide which code runs: a directory of configuration files, and words that look
    something up (``${...}``), have to be given again.

    Raises:
        SettingError: if something has to be given again, or isn't of a sweep.
        RunDirectoryError: if the sweep can't be read.
    """
    known = load(directory)
    if out := disk.links_out(directory, depth=1):
        raise RunDirectoryError(f"{out[0]} is a link that leads out of {directory}; put there what it leads to instead")
    given = {one.key_or_group: one for one in arguments.parsed()}
    if "hydra.sweep.dir" in given:
        raise SettingError("hydra.sweep.dir: is the sweep's own with resume=; leave one of them out")
    if known.options and arguments.option(*CONFIG_DIR) is None:
        again = " ".join(known.options)
        raise SettingError(f"{directory / FILE} names a directory of settings; if you trust it, add {again}")
    stored = Arguments((), known.words).parsed()
    replaced = set(given) | ({budget.EPISODES, budget.STEPS} if {budget.EPISODES, budget.STEPS} & set(given) else set())
    kept = [one for one in stored if one.key_or_group not in replaced]
    for one in kept:
        if not _makes_jobs(one) or one.key_or_group == _SEARCHPATH or "${" in (one.input_line or ""):
            raise SettingError(
                f"{directory / FILE} names {one.input_line}; if you trust it, add that to the command line"
            )
    added = {one.key_or_group for one in stored if (one.input_line or "").startswith("+")}
    own = [_added(one, added) for one in arguments.parsed() if one.key_or_group != "resume"]
    words = (*(one.input_line or "" for one in kept), *own)
    options = arguments.options if arguments.is_multirun else ("-m", *arguments.options)
    going_on = replace(arguments, options=options, overrides=words).adding(hydra__sweep__dir=str(directory))
    return budget.count_alone(going_on)


def command(directory: Path, arguments: Arguments, foreign: Iterable[str]) -> str:
    """Write the command that goes on with a sweep, launched as now; what has to be named again is."""
    named = [one.input_line or "" for one in arguments.parsed() if _launches(one)]
    named += [word for word in arguments.overrides if "${" in word and word not in named and not budget.is_added(word)]
    named += [word for word in foreign if word not in named]
    extra = arguments.option(*CONFIG_DIR)
    options = ["--config-dir", extra] if extra else []
    return " ".join(["velora train", written("resume", str(directory)), *map(shlex.quote, [*options, *named])])


def _makes_jobs(one: Override) -> bool:
    """Return whether a word says what the jobs are, and not how they are run."""
    top = one.key_or_group.replace("/", ".").partition(".")[0]
    return one.key_or_group == _SEARCHPATH or top not in ("hydra", *_OF_ONE_COMMAND)


def _added(one: Override, added: Collection[str]) -> str:
    """Return a word, with the ``+`` that the sweep has it with."""
    word = one.input_line or ""
    return f"+{word}" if one.key_or_group in added and not word.startswith(("+", "~")) else word


def _launches(one: Override) -> bool:
    return one.key_or_group == "sweep" or one.key_or_group.startswith(("hydra/launcher", "hydra.launcher"))


def _differences(old: Iterable[str], new: Iterable[str]) -> list[str]:
    before, now = ({word.partition("=")[0]: word for word in words} for words in (old, new))
    names = dict.fromkeys((*before, *now))
    own: Any = ((before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name))
    return [f"{was or 'not set'} -> {is_now or 'left out'}" for was, is_now in own]
