"""The command ``velora export``: write the policy of a checkpoint to files that run without Velora."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from velora.core.errors import SettingError
from velora.core.names import did_you_mean
from velora.core.terminal import say
from velora.export.targets import TARGETS, Target, find_target

if TYPE_CHECKING:
    from velora.export.exporting import Exported
    from velora.export.ports import Port

HELP = """\
Write the policy of a checkpoint, what it does without exploration, to files that run without Velora.

  velora export <run> to=onnx                                # policy.onnx
  velora export <run>/checkpoints/best to=c out=firmware/policy/
  velora export <run> to=c dtype=int8 out=policy/            # weights of 8 bits, for chips without floating point
  velora export <run> to=onnx agent=my_module.MyAgent        # of an agent class of your own; its module is imported

What is written takes an observation in the environment's units, the recurrent state (zeros when an episode begins) and
the time since the step before, in control steps, and gives the action in the environment's units and the next state.
Normalisation, the squashing of actions and the choice of a discrete action are inside.

Of a run, its final checkpoint is taken, or its best; of a run of several seeds, one for each seed. What an earlier
export wrote is replaced; what anybody else wrote, or changed, is not.

Settings:
  to=              the target, one of those below
  out=             file or directory to write; the default is the target's, in this directory
  dtype=float32    numbers that the policy computes with
  overwrite=false  true replaces files that no export wrote, or that were changed since
  agent=           class of the agent, where it isn't one of Velora's
"""
SETTINGS = ("to", "out", "dtype", "overwrite", "agent")


def export(words: Sequence[str]) -> int:
    """Run ``velora export`` and return its exit code.

    Raises:
        VeloraError: if a word isn't understood, or the policy can't be exported.
    """
    if not words or any(word in ("-h", "--help") for word in words):
        say(f"{HELP}\n{_targets()}")
        return 0
    path, given = _sorted(words)
    if "to" not in given:
        raise SettingError(f"say what to write: to={' or to='.join(TARGETS)}; see velora export --help")
    target = find_target(given["to"])
    own = {name: value for name, value in given.items() if name not in SETTINGS}
    target.check(given.get("dtype", target.dtypes[0]), own)
    overwrite = _truth("overwrite", given.get("overwrite", "false"))
    from velora.checkpoint.choice import choose_checkpoints  # torch, which takes a second
    from velora.cli.run.bar import Bar
    from velora.export.exporting import export as write

    if "agent" in given:
        _import(given["agent"])
    chosen = choose_checkpoints(path)
    for checkpoint in chosen:
        out = _out(target, given.get("out"), checkpoint, several=len(chosen) > 1)
        with Bar() as bar:
            done = write(
                checkpoint, target.name, out, dtype=given.get("dtype"), overwrite=overwrite, progress=bar, **own
            )
        say("".join(f"{name:<12}{text}\n" for name, text in _told(done, checkpoint)))
    return 0


def _targets() -> str:
    lines = ["Targets:"]
    for target in TARGETS.values():
        dtypes = f"; dtype={' or '.join(target.dtypes)}" if len(target.dtypes) > 1 else ""
        lines.append(f"  {target.name:<8} {target.summary}; out={target.out}{dtypes}")
        lines += [f"  {'':<8} {name}=  {meaning}" for name, meaning in target.options.items()]
    return "\n".join(lines) + "\n"


def _sorted(words: Sequence[str]) -> tuple[Path, dict[str, str]]:
    """Sort the words into the checkpoint and the settings.

    Raises:
        SettingError: if one isn't known, or there isn't one checkpoint.
    """
    known = {*SETTINGS, *(name for target in TARGETS.values() for name in target.options)}
    paths, given = list[str](), dict[str, str]()
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name == "checkpoint":
            paths.append(value)
        elif equals and name in known:
            given[name] = value
        elif equals and not Path(word).exists():
            hint = did_you_mean(name, sorted(known), "see velora export --help")
            raise SettingError(f"{word}: no such setting; {hint}")
        elif word.startswith("-"):
            raise SettingError(f"{word}: no such option; settings are written name=value; see velora export --help")
        else:
            paths.append(word)
    if len(paths) != 1:
        raise SettingError(
            f"export: expected one checkpoint or run, got {' '.join(paths) or 'none'}; see velora export --help"
        )
    return Path(paths[0]), given


def _truth(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise SettingError(f"{name}: expected true or false, got {text!r}")
    return text.lower() == "true"


def _import(path: str) -> None:
    """Import an agent class of one's own."""
    from velora.cli.settings.instantiate import import_class

    sys.path.append(str(Path.cwd()))
    import_class(path, "agent")


def _out(target: Target, out: str | None, checkpoint: Path, *, several: bool) -> str | None:
    """Return where to write: of several seeds, each has a place of its own."""
    if not several:
        return out
    from velora.checkpoint import Checkpoint
    from velora.export.exporting import place_of

    place, seed = place_of(target, out), f"seed{Checkpoint.open(checkpoint).metadata.seed}"
    return str(place / seed if target.is_directory else place.with_name(f"{place.stem}-{seed}{place.suffix}"))


def _told(done: Exported, checkpoint: Path) -> list[tuple[str, str]]:
    """Describe what was written, a name and a text for each line."""
    from velora.export import ports

    policy, origin = done.policy, done.policy.origin
    on = f" of {origin.environment}" if origin.environment else ""
    lines = [
        ("checkpoint", f"{checkpoint}, {origin.agent}, {origin.cell}{on}"),
        ("wrote", f"{done.out}, {sum(done.files.values()):,} bytes"),
        *(("", f"{path.relative_to(done.out)}, {size:,}") for path, size in done.files.items() if path != done.out),
        *_ports("takes", ports.inputs(policy)),
        *_ports("gives", ports.outputs(policy)),
        *done.notes.items(),
    ]
    return [*lines, ("next", done.target.after.format(out=done.out))] if done.target.after else lines


def _ports(name: str, ports: Sequence[Port]) -> Iterator[tuple[str, str]]:
    for port in ports:
        yield name, f"{port.name} ({1 if port.size is None else port.size}), {port.meaning}"
        name = ""
