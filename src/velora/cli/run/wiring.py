"""The command ``velora wiring``: a picture of the circuit of a policy."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from velora.cli.run import chosen_runs
from velora.core.errors import SettingError
from velora.core.terminal import say

HELP = """\
Draw the circuit of a policy: its neurons in layers, from what it senses to what it does, and every synapse.

  velora wiring <run>                                        # wiring.svg, which follows light and dark
  velora wiring zoo:pendulum out=pendulum.png                # a picture of pixels, drawn by matplotlib
  velora wiring <run>/checkpoints/best out=figures/best.svg

Of a run, its final checkpoint is taken, or its best; of a run of several seeds there is a picture of each, with the
seed in its name: every seed has a wiring of its own. velora audit shows the same with what each neuron is good for, and
velora watch shows it at work.

Settings:
  out=wiring.svg   the picture, .svg or .png
  agent=           class of the agent, where it isn't one of Velora's
"""
SETTINGS = ("out", "agent")


def wiring(words: Sequence[str]) -> int:
    """Run ``velora wiring`` and return its exit code.

    Raises:
        VeloraError: if a word isn't understood, the checkpoint can't be loaded, or the picture not be written.
    """
    if not words or any(word in ("-h", "--help") for word in words):
        say(HELP)
        return 0
    named = [word.removeprefix("checkpoint=") for word in words]
    paths, given = chosen_runs.split(named, SETTINGS, command="wiring")
    if len(paths) != 1:
        raise SettingError(f"wiring: expected one checkpoint or run, got {' '.join(map(str, paths))}")
    out = Path(given.get("out", ["wiring.svg"])[-1])
    from velora.analysis import wiring as pictures

    pictures.check_name(out)
    from velora.checkpoint import Checkpoint
    from velora.checkpoint.choice import choose_checkpoints
    from velora.export.wiring import wiring_of
    from velora.models.loading import load

    if "agent" in given:
        from velora.cli.settings.instantiate import import_class

        sys.path.append(str(Path.cwd()))
        import_class(given["agent"][-1], "agent")
    chosen = choose_checkpoints(paths[0])
    for path in chosen:
        agent, seed = load(path, device="cpu"), Checkpoint.open(path).metadata.seed
        own = out if len(chosen) == 1 else out.with_stem(f"{out.stem}-seed{seed}")
        circuit = wiring_of(agent)
        pictures.save(circuit, own, title=f"Wiring of {type(agent).__name__}")
        say(f"checkpoint  {path}\ncircuit     {circuit.describe()}\npicture     {own}\n")
    return 0
