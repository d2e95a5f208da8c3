"""The commands of ``velora``: one list, from which the help, the table and the completion of shells are made."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """Row of the list.

    Attributes:
        name: word after ``velora``.
        summary: what it does, in one line.
        place: its function, as ``"module:function"``, imported when the command is run. It takes the words after the
            name, prints help for ``-h`` and ``--help``, and returns an exit code.
        interrupted: message after Ctrl+C where nothing more exact is known.
        config: its file in ``conf/``, where Hydra composes its settings; shells complete them.
    """

    name: str
    summary: str
    place: str
    interrupted: str = "interrupted"
    config: str = ""

    def __call__(self, words: Sequence[str]) -> int:
        """Run the command and return its exit code."""
        module, _, name = self.place.partition(":")
        run: Callable[[Sequence[str]], int] = getattr(importlib.import_module(module), name)
        return run(words)


_LISTED = (
    Command(
        "train",
        "train an agent, many, or go on with a run",
        "velora.cli.command.jobs:train",
        interrupted="interrupted before the first step; nothing was saved",
        config="train",
    ),
    Command("tune", "search for settings, and go on with a search", "velora.cli.tune.command:tune", config="train"),
    Command(
        "distill",
        "train a small student by a teacher: an ONNX policy, or a checkpoint",
        "velora.cli.command.jobs:distill",
        interrupted="interrupted before the first step; nothing was saved",
        config="distill",
    ),
    Command("evaluate", "play episodes with a saved agent", "velora.cli.command.jobs:evaluate", config="evaluate"),
    Command("runs", "list runs: what they are, how they stand, what they reached", "velora.cli.runs.command:runs"),
    Command("show", "say what a run or a checkpoint is, and what to do with it", "velora.cli.show.command:show"),
    Command("record", "write a video of a saved agent", "velora.cli.command.jobs:record", config="record"),
    Command("export", "write a policy to C, ONNX or torch.export", "velora.cli.run.export:export"),
    Command("push", "share a saved agent on a Hub, with a model card", "velora.cli.command.jobs:push", config="push"),
    Command("pull", "download a shared agent, verified", "velora.cli.run.pull:pull"),
    Command(
        "watch",
        "write a page that shows a policy at work: the task, its circuit, every neuron",
        "velora.cli.command.jobs:watch",
        config="watch",
    ),
    Command("wiring", "draw the circuit of a policy, as SVG or PNG", "velora.cli.run.wiring:wiring"),
    Command(
        "audit",
        "measure what a policy's network does: a table, a page, and bounds that hold",
        "velora.cli.command.jobs:audit",
        config="audit",
    ),
    Command(
        "drive",
        "drive a plant in real time by a saved agent",
        "velora.cli.command.jobs:drive",
        interrupted="interrupted before the loop began; nothing was driven",
        config="drive",
    ),
    Command(
        "prove",
        "run an exported policy on emulated chips, beside the agent",
        "velora.cli.command.jobs:prove",
        config="prove",
    ),
    Command(
        "check-env",
        "say what an agent will see of an environment, and what is wrong with it",
        "velora.cli.command.jobs:check_env",
        config="check_env",
    ),
    Command(
        "configs", "list groups, options and settings, with defaults and meanings", "velora.cli.configs.configs:configs"
    ),
    Command("plot", "draw learning curves", "velora.cli.run.plot:plot"),
    Command("compare", "compare runs: a page, pictures and tables", "velora.cli.run.compare:compare"),
    Command("verify", "say whether a checkpoint or a run is whole, and what is broken", "velora.cli.run.verify:verify"),
    Command("doctor", "what this machine computes with, and how to do better", "velora.cli.doctor.doctor:doctor"),
    Command("completion", "complete all this with the Tab key", "velora.cli.completion.command:completion"),
)
COMMANDS = {command.name: command for command in _LISTED}
"""Every command by its name, in the order of the help."""

_EXAMPLES = """\
For example:
  velora train                                                # LiquidDDPG on Pendulum-v1
  velora train env=inverted_pendulum train.seed=1 device=cpu
  velora train env=inverted_pendulum train.seeds=10           # ten seeds side by side, in one process
  velora train -m agent.n_neurons=20,40 train.seeds=3         # both, in a process each
  velora evaluate checkpoint=<run>/checkpoints/final episodes=10
  velora record <run> out=episode.mp4                         # see what it does
  velora watch <run> out=watch.html                           # see it think
  velora audit <run> out=audit.html                           # what its network does, in numbers
  velora drive <run> rate=50 steps=500                        # in real time, by the clock
  velora prove policy/ target=cortex-m4                       # run an exported policy on an emulated chip
  velora train resume=<run>                                   # go on where it stopped
  velora check-env my_module:MyEnv-v0                         # look at an environment of your own
  velora configs agent                                        # what there is to choose and to set
  velora runs where=status=finished sort=-return              # what there is, the best first
  velora tune 'agent.n_neurons=choice(10,20,40)' trials=20    # search for settings
  velora distill policy.onnx env=half_cheetah                 # any ONNX policy into a liquid student
  velora plot <run> <run> out=curves.png
  velora compare <sweep> by=agent out=report.html
  velora verify <run>
  velora export <run> to=onnx out=policy.onnx                 # a policy that runs without Velora
  velora push <run> user/name                                 # share it; velora pull user/name gets it back

A run's directory is printed at its start; it is made in outputs/, in the directory you are in."""


def help_text() -> str:
    """Write the help of ``velora``: all commands, and examples."""
    width = max(map(len, COMMANDS))
    rows = [f"  velora {name.ljust(width)}   {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Velora trains liquid neural networks to control things.",
            "",
            *rows,
            "",
            "velora <command> --help says more; that of train lists every setting.",
            "",
            _EXAMPLES,
        ]
    )
