"""Summary at the start of training: agent, environment, and where the results go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from velora.callbacks.base import Callback
from velora.callbacks.console import EdgeConsole
from velora.callbacks.progress_view import is_steps_alone
from velora.checkpoint.layout import listed
from velora.core.protocols import AgentView, TrainerView


class PrintSummary(Callback):
    """Print the agent, its networks with their wiring and size, the budget, the device and the run directory."""

    def __init__(self, *, console: Console | None = None) -> None:
        """Choose where to print.

        Args:
            console: None is standard error.
        """
        self._console = EdgeConsole() if console is None else console

    def on_fit_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Print the summary, after a resume has restored the run."""
        summary = agent.summary()
        body = Group(_facts(trainer, agent), Text(), _networks(summary["networks"]))
        try:
            self._console.print(Panel(body, title=Text(str(summary["agent"])), title_align="left", expand=False))
        except (OSError, ValueError):  # ValueError: the stream was closed; there is nobody to tell
            self._console.quiet = True


def _facts(trainer: TrainerView, agent: AgentView) -> Table:
    """Lay out what the run is as names and values."""
    budget = f"{trainer.n_episodes:,} episodes"
    if is_steps_alone(trainer.n_episodes, trainer.n_steps):
        budget = f"{trainer.n_steps:,} steps"
    elif trainer.n_steps is not None:
        budget += f", at most {trainer.n_steps:,} steps"
    n_seeds = len(agent.seeds)
    threads = agent.threads if agent.kernel == "native" else torch.get_num_threads()
    kernel = {"native": "native kernel", "numpy": "NumPy", "torch": "PyTorch"}.get(agent.kernel, agent.kernel)
    computing = f"{kernel}, {threads} thread{'' if threads == 1 else 's'}"
    facts = {
        "environment": trainer.environment,
        "seeds" if n_seeds > 1 else "seed": listed(agent.seeds) + (f" ({n_seeds} side by side)" if n_seeds > 1 else ""),
        "budget": budget,
        "batch": f"{trainer.batch_size:,}",
        "device": f"{agent.device} ({computing})",
        "run directory": "none: metrics stay in memory" if trainer.run_dir is None else str(trainer.run_dir),
    }
    if trainer.step:
        facts["goes on from"] = _start(trainer)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, Text(value))
    return table


def _start(trainer: TrainerView) -> str:
    """Describe where a resumed run goes on; its seeds may stand at different steps."""
    places = {(lane.episode, lane.step) for lane in trainer.progress}
    low, high = min(places, key=lambda place: place[1]), max(places, key=lambda place: place[1])
    if len(places) == 1:
        return f"episode {low[0]:,}, step {low[1]:,}"
    return f"episode {low[0]:,}, step {low[1]:,} (the seed that stands last) to episode {high[0]:,}, step {high[1]:,}"


def _networks(networks: Mapping[str, Mapping[str, Any]]) -> Table:
    """Lay out the networks: wiring, and parameters that are wired (active) among all."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("network", no_wrap=True)
    table.add_column("wiring", overflow="fold")
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("active", justify="right", no_wrap=True)
    for name, network in networks.items():
        parameters, active = int(network["parameters"]), int(network["active"])
        share = f" ({100 * active / parameters:.0f}%)" if active != parameters else ""
        wiring = network["wiring"] or "fully connected"
        table.add_row(Text(name), Text(str(wiring)), f"{parameters:,}", f"{active:,}{share}")
    return table
