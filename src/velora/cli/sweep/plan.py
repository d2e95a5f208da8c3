"""The jobs that a command asks for: composed before the first of them starts, so that a slip costs nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from velora.cli.command.arguments import CONFIG_DIR, Arguments
from velora.cli.command.searching import explain_interval
from velora.cli.settings import schema
from velora.cli.sweep import identity
from velora.core.errors import SettingError

SUBDIR: Final = "hydra.sweep.subdir"
MOST_JOBS: Final = 10_000
"""More are a slip, such as a range of a billion values, and would fill the memory before anything is said."""


@dataclass(frozen=True)
class Job:
    """A job of a sweep.

    Attributes:
        words: the settings in which it differs from the others, as they were given.
        name: of its directory, in that of the sweep.
        digest: of what makes it what it is.
        settings: all of it, composed.
    """

    words: tuple[str, ...]
    name: str
    digest: str
    settings: DictConfig


@dataclass(frozen=True)
class Plan:
    """What a command asks for.

    Attributes:
        directory: of the sweep.
        swept: names of the settings and groups in which jobs may differ.
        choices: the files that were chosen, by group.
        sets_subdir: whether the command or a file names the jobs' directories itself.
        hydra: Hydra's own settings.
    """

    directory: Path
    swept: tuple[str, ...]
    jobs: tuple[Job, ...]
    choices: dict[str, Any]
    sets_subdir: bool
    hydra: DictConfig

    @property
    def launcher(self) -> str:
        """The launcher that was chosen."""
        return str(self.choices["hydra/launcher"])


def make(arguments: Arguments) -> Plan | None:
    """Compose every job that a command line asks for, in the order in which they will run.

    Hydra has to be initialised (:func:`velora.cli.command.compose.composing`).

    Returns:
        The plan; ``None`` under another sweeper than the basic one, which decides on the way.

    Raises:
        SettingError: if there is no job, or two are one and the same.
        HydraException, OmegaConfBaseException: if one can't be composed.
    """
    extra = arguments.option(*CONFIG_DIR)
    path = [f"hydra.searchpath=[file://{Path(extra).absolute()}]"] if extra else []
    single = [word.input_line or "" for word in arguments.parsed() if not word.is_sweep_override()]
    base = compose("train", [*path, *single], return_hydra_config=True)
    choices: dict[str, Any] = OmegaConf.to_container(base.hydra.runtime.choices)  # type: ignore[assignment]
    if choices["hydra/sweeper"] != "basic":
        return None
    overrides = _overrides(arguments, base)
    swept = tuple(one.key_or_group for one in overrides if one.is_sweep_override())
    written: Any = OmegaConf.to_container(base.hydra.sweep)
    sets_subdir = written["subdir"] != _default_subdir(())
    naming = [] if sets_subdir else [f'{SUBDIR}="{_default_subdir(swept)}"']
    directory = Path(str(base.hydra.sweep.dir))
    jobs = []
    for number, words in enumerate(_combinations(overrides)):
        cfg = compose("train", [*path, *words, *naming], return_hydra_config=True)
        differing = tuple(word for word, one in zip(words, overrides, strict=True) if one.is_sweep_override())
        jobs.append(_job(cfg, number, words, differing, directory))
    plan = Plan(directory, swept, tuple(jobs), choices, sets_subdir, base.hydra)
    _check(plan)
    return plan


def completed(arguments: Arguments, plan: Plan) -> Arguments:
    """Return the command line with the directory of the sweep, and the names of its jobs, settled.

    The directory is absolute: a launcher may run a job in a process that has another working directory.
    """
    settled = arguments.adding(hydra__sweep__dir=str(plan.directory.absolute()))
    return settled if plan.sets_subdir else settled.adding(hydra__sweep__subdir=_default_subdir(plan.swept))


def _default_subdir(swept: Sequence[str]) -> str:
    return f"${{velora.job_name:{','.join(swept)}}}"


def _overrides(arguments: Arguments, base: DictConfig) -> list[Override]:
    """List each setting once, those of ``hydra.sweeper.params`` first; later ones win, as in Hydra's sweeper."""
    loader = GlobalHydra.instance().config_loader()
    stored = [f"{name}={value}" for name, value in (base.hydra.sweeper.get("params") or {}).items()]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides([*stored, *arguments.overrides])
    found = {one.get_key_element(): one for one in parsed}
    for one in found.values():
        if one.is_sweep_override() and not one.is_discrete_sweep():
            raise SettingError(explain_interval(one, arguments))
    return list(found.values())


def _combinations(overrides: Sequence[Override]) -> list[tuple[str, ...]]:
    columns = []
    for one in overrides:
        key = one.get_key_element()
        swept = one.is_sweep_override()
        values = itertools.islice(one.sweep_string_iterator(), MOST_JOBS + 1) if swept else iter(())
        words = [f"{key}={value}" for value in values] if swept else [one.input_line or ""]
        columns.append(words)
        if not words:
            raise SettingError(f"{one.input_line}: no value to try, so there would be no job; choose what there is")
    if math.prod(map(len, columns)) > MOST_JOBS:
        raise SettingError(f"these words ask for more than {MOST_JOBS:,} jobs; choose fewer values")
    return list(itertools.product(*columns))


def _job(cfg: DictConfig, number: int, words: Sequence[str], differing: tuple[str, ...], directory: Path) -> Job:
    with open_dict(cfg):
        cfg.hydra.job.num, cfg.hydra.job.id = number, str(number)
        cfg.hydra.sweep.dir = str(directory.absolute())
        cfg.hydra.overrides.task = [word for word in words if not word.lstrip("+~").startswith("hydra")]
    HydraConfig.instance().set_config(cfg)
    try:
        digest = identity.digest(cfg)
        name = str(OmegaConf.select(cfg, SUBDIR))
    finally:
        HydraConfig.instance().cfg = None
    with open_dict(cfg):
        del cfg["hydra"]
    schema.check(cfg)
    return Job(differing, name, digest, cfg)


def _check(plan: Plan) -> None:
    """Refuse two jobs that would be one.

    Raises:
        SettingError: naming the words of both.
    """
    for kind in ("digest", "name"):
        known: dict[str, Job] = {}
        for job in plan.jobs:
            other = known.setdefault(getattr(job, kind), job)
            if other is not job:
                both = f"{' '.join(other.words)} and {' '.join(job.words)}"
                if kind == "name":
                    raise SettingError(f"{both} share the directory {job.name}; choose another {SUBDIR}, or none")
                raise SettingError(
                    f"{both} are one and the same run, so they can't be two jobs; leave one of them out (how long a "
                    "run is, where it computes and what it saves and logs don't make it another)"
                )
