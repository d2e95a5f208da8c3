"""Draw the figures of theory.md from Velora's own cells: ``python -m docs._figures``.

They have no background, and colours that are readable on a light page and on a dark one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from cycler import cycler

import velora
from velora.analysis.wiring import Circuit, draw
from velora.export.describe import describe
from velora.models import LiquidDDPG
from velora.models.make_networks import draw_wirings
from velora.nn.cells import make_cell
from velora.nn.sequence import unroll
from velora.nn.wiring import auto_ncp
from velora.watch.neurons import Neurons
from velora.watch.trace import trace

mpl.use("Agg")
from matplotlib import pyplot as plt

IMAGES = Path(__file__).parent / "images/theory"
GREY = "#7c8594"
COLOURS = ("#2f81d6", "#d9721b", "#1f9d78", "#c65ba0", "#b58a00", "#6f7bd8", "#d1495b", "#7c8594")
STYLE: Any = {
    "axes.edgecolor": GREY, "axes.labelcolor": GREY, "text.color": GREY, "xtick.color": GREY, "ytick.color": GREY,
    "axes.prop_cycle": cycler(color=COLOURS), "axes.spines.top": False, "axes.spines.right": False,
    "svg.fonttype": "none", "svg.hashsalt": "velora", "font.family": "sans-serif", "font.size": 10,
    "legend.frameon": False,
}  # fmt: skip


def main() -> None:
    """Write all of them."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    wiring()
    with mpl.rc_context(STYLE):
        ltc_time_constants()
        cfc_gates()
        composition()


def wiring() -> None:
    """Draw the circuit of the zoo's pendulum, for a light page and for a dark one."""
    agent = velora.zoo("pendulum")
    (drawn,) = draw_wirings(agent, "wiring", agent.n_features, agent.settings.action_dim)
    picture = draw(Circuit.of(drawn), title="Wiring of the zoo's pendulum")
    light = re.sub(r"@media \(prefers-color-scheme: dark\) \{ .* \}</style>", "</style>", picture)
    dark = re.sub(r"@media \(prefers-color-scheme: dark\) \{ (.*) \}</style>", r"\1</style>", picture)
    for name, text in (("light", light), ("dark", dark)):
        (IMAGES / f"wiring-{name}.svg").write_text(text)


def ltc_time_constants() -> None:
    """Sweep one input of an untrained LTC, and ask each neuron for its time constant."""
    agent = LiquidDDPG(1, 8, 1, cell="ltc", seed=0, device="cpu")
    neurons = Neurons(describe(agent))
    inputs, still = np.linspace(-1.0, 2.0, 121), np.zeros(neurons.policy.n_state)
    times = np.array([neurons.look(np.array([x]), still, still, 1.0)[2] for x in inputs])
    figure, axes = _axes("input", "time constant, control steps")
    axes.plot(inputs, times)
    _save(figure, "ltc-time-constants")


def cfc_gates() -> None:
    """Take a moment of an episode, and let its last step take longer and longer."""
    agent = velora.zoo("pendulum")
    episode = trace(agent, "Pendulum-v1", seed=7, max_steps=40)
    neurons, at = Neurons(episode.policy), 30
    times = np.linspace(0.01, 6.0, 121)
    x, before, after = episode.network_input[at], episode.state[at - 1], episode.state[at]
    gates = np.array([neurons.look(x, before, after, float(dt))[1] for dt in times])
    command = [k for k, one in enumerate(_computing(episode)) if one.layer == "command"]
    figure, axes = _axes("dt, control steps", "gate")
    axes.plot(times, gates[:, command])
    axes.axvline(1.0, color=GREY, linewidth=1, linestyle=":")
    axes.annotate("the step of training", (1.0, 0.02), (6, 0), textcoords="offset points", color=GREY)
    axes.set_ylim(0.0, 1.0)
    _save(figure, "cfc-gates")


def composition() -> None:
    """Go four control steps with the input held, in as many steps as it takes, and compare with the finest."""
    figure, axes = _axes("steps that the four control steps are cut into", "distance to 64 steps")
    wiring, counts, span = auto_ncp(inputs=3, units=20, outputs=2, sparsity=0.5), (1, 2, 4, 8, 16), 4.0
    for kind in ("cfc", "ltc", "leaky"):
        cells = [make_cell(kind, [wiring], [torch.Generator().manual_seed(seed)]) for seed in range(20)]
        gaps = [[float((_held(cell, n, span) - _held(cell, 64, span)).abs().max()) for n in counts] for cell in cells]
        axes.plot(counts, np.mean(gaps, axis=0), marker="o", label=kind)
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(n) for n in counts])
    axes.legend()
    _save(figure, "composition")


def _held(cell: Any, n_steps: int, span: float) -> torch.Tensor:
    x = torch.tensor([0.8, -0.5, 0.3]).expand(1, 1, n_steps, 3)
    with torch.no_grad():
        return unroll(cell, x, cell.initial_state(1), torch.full((1, 1, n_steps), span / n_steps))[1]


def _computing(episode: Any) -> list[Any]:
    """List the neurons that have a state, in the order of the recorded arrays."""
    return [one for one in episode.circuit.neurons if one.layer != "sensory"]


def _axes(x: str, y: str) -> tuple[Any, Any]:
    figure, axes = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
    axes.set(xlabel=x, ylabel=y)
    return figure, axes


def _save(figure: Any, name: str) -> None:
    figure.savefig(IMAGES / f"{name}.svg", transparent=True, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
