"""The model card of an agent, in Markdown: what it is, what it earned, its sizes, and how to use it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from velora.analysis.aggregates import estimate_iqm
from velora.analysis.rows import Rows
from velora.analysis.run import Run
from velora.analysis.table import as_markdown, duration, number
from velora.checkpoint.remote import HOME
from velora.checkpoint.schema import METADATA_FILE
from velora.core.errors import ExportError
from velora.core.version import __version__
from velora.export.describe import describe
from velora.hub.front_matter import front_matter
from velora.hub.proofs import proof_table
from velora.hub.scores import Scores
from velora.models.agent import Agent
from velora.models.portrait import call, facts


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that a model card is written from.

    Attributes:
        repo: ``user/name``, where it is going to be.
        agent: of one seed.
        digest: SHA-256 of the pushed checkpoint's metadata.
        source: the same of the checkpoint that it was saved from; equal where that is pushed as it is.
        scores: what it earned; ``None`` if nobody looked.
        run: that trained it; ``None`` if that isn't known.
        proof: of its policy on chips; ``None`` if there is none.
        has_curve: whether there is a picture of the run's learning curve.
        license_name: such as ``mit``; empty for none.
    """

    repo: str
    agent: Agent
    digest: str
    source: str
    scores: Scores | None = None
    run: Run | None = None
    proof: Mapping[str, Any] | None = None
    has_curve: bool = False
    license_name: str = ""

    @property
    def environment(self) -> str:
        """Identifier of the environment that the agent was trained in; empty if it never was."""
        return str((self.agent.environment or {}).get("id", ""))

    def text(self) -> str:
        """Write the card."""
        name = type(self.agent).__name__
        parts = [
            front_matter(
                name, self.environment, tags=_tags(self.agent), license_name=self.license_name, scores=self.scores
            ),
            f"# {name}{f' on {self.environment}' if self.environment else ''}\n",
            *("\n".join(lines) + "\n" for lines in self._sections()),
        ]
        return "\n".join(parts)

    def _sections(self) -> Iterator[list[str]]:
        s = self.agent.settings
        yield [
            f"A recurrent policy of {s.n_neurons} neurons (`{s.cell}`), trained with Velora.",
            "",
            "```text",
            call(self.agent),
            *(f"  {name:<14}{text}" for name, text in facts(self.agent) if name != "computes"),
            "```",
        ]
        yield _scores(self.scores)
        if self.run is not None:
            yield _training(self.run, self.agent, has_curve=self.has_curve)
        picture = "![The circuit: sensory, inter, command and motor neurons](wiring.svg)"
        yield ["## Wiring", "", picture, "", self._size()]
        if self.proof is not None:
            yield _proof(self.proof)
        yield _use_in_python(self.repo, self.agent)
        yield _use_in_c(self.repo)
        yield [*_settings(self.agent), "", self._checkpoint()]

    def _size(self) -> str:
        """Say how large the policy is, where it can be exported."""
        try:
            policy = describe(self.agent)
        except ExportError as error:
            return f"It can't be exported ({error})."
        reads = f"{policy.n_observations} numbers{' and the elapsed time' if policy.reads_dt else ''}"
        held = f"{policy.n_weights:,} weights that aren't zero, {policy.n_state} numbers of state"
        return f"{held}; it reads {reads} and puts out {policy.n_actions}."

    def _checkpoint(self) -> str:
        held = f"SHA-256 of `{HOME}{METADATA_FILE}`, which has those of the other files: `{self.digest}`."
        if self.source != self.digest:
            held += f" Saved from checkpoint `{self.source}`, without buffer and state of the run."
        return f"{held} Card by Velora {__version__}."


def _tags(agent: Agent) -> list[str]:
    return ["liquid-neural-networks", str(agent.key).replace("_", "-"), str(agent.settings.cell)]


def _scores(scores: Scores | None) -> list[str]:
    if scores is None:
        return ["## Scores", "", "Not evaluated."]
    low, high = scores.interval or (math.nan, math.nan)
    interval = f"{number(low)} to {number(high)}" if scores.interval else ""
    row = {
        "environment": scores.environment,
        "mean return": number(scores.mean),
        "95 % interval of the mean": interval,
        "standard deviation": number(scores.std),
        "smallest": number(min(scores.returns)),
        "largest": number(max(scores.returns)),
        "episodes": len(scores.returns),
    }
    table = as_markdown(Rows([row]), list(row), numbers=set(row) - {"environment"})
    how = f"Without exploration, over {scores.episodes}. The interval is a bootstrap over episodes."
    return ["## Scores", "", *table, "", how]


def _training(run: Run, agent: Agent, *, has_curve: bool) -> list[str]:
    lines = ["## Training", ""]
    if has_curve:
        lines += ["![Learning curve: return over environment steps](curve.png)", ""]
    seeds = f"; seeds {', '.join(map(str, run.seeds))}, of which this is {agent.seeds[0]}" if len(run.seeds) > 1 else ""
    lines.append(f"{run.n_episodes:,} episodes, {run.n_steps:,} steps, {duration(run.seconds)} of training{seeds}.")
    reached = [value for value in run.returns() if math.isfinite(value)]
    if len(run.seeds) < 2 or not reached:
        return lines
    what = "evaluation" if run.is_evaluated else "mean of the last episodes"
    rows = Rows({"seed": str(seed), "return": value} for seed, value in zip(run.seeds, run.returns(), strict=True))
    found = estimate_iqm([np.array(reached)])
    low, high = number(float(found.low)), number(float(found.high))
    interval = f", 95 % interval {low} to {high}" if found.has_interval else ""
    lines += ["", f"The newest {what} of every seed; interquartile mean {number(float(found.value))}{interval}.", ""]
    return [*lines, *as_markdown(rows, ["seed", "return"], numbers={"return"})]


def _proof(proof: Mapping[str, Any]) -> list[str]:
    how = (
        f"By `velora prove`, in {proof.get('dtype', 'float32')}: sizes of the whole firmware in bytes, the cost of a "
        f"step, the largest error of an action against a float64 replay over {int(proof.get('n_steps') or 0):,} steps, "
        f"and the mean return of the compiled policy in closed loop{_predict(proof)}. All of it is in "
        "[proof.json](proof.json)."
    )
    return ["## On chips", "", *proof_table(proof), "", how]


def _predict(proof: Mapping[str, Any]) -> str:
    returns = proof.get("returns") or []
    of = f"{len(returns)} episodes" if len(returns) != 1 else "1 episode"
    return f", where Python earns {sum(returns) / len(returns):.2f} over {of}" if returns else ""


def _use_in_python(repo: str, agent: Agent) -> list[str]:
    name = type(agent).__name__
    return [
        "## Use it in Python",
        "",
        "```python",
        f"from velora.models import {name}",
        "",
        f'agent = {name}.from_pretrained("{repo}")',
        "hidden = None",
        "action, hidden = agent.predict(observation, hidden)  # once in every control step",
        "```",
        "",
        "Files are compared with their digests, and nothing in them is run.",
    ]


def _use_in_c(repo: str) -> list[str]:
    name = repo.rpartition("/")[2]
    return [
        "## Use it in C",
        "",
        "```bash",
        f"velora pull {repo}",
        f"velora export {name} to=c out=policy/",
        "```",
        "",
        "`policy/policy.h` says what goes in and what comes out.",
    ]


def _settings(agent: Agent) -> list[str]:
    rows = Rows({"setting": name, "value": json.dumps(value)} for name, value in agent.settings_dict().items())
    return [
        "<details><summary>All settings</summary>",
        "",
        *as_markdown(rows, ["setting", "value"]),
        "",
        "</details>",
    ]
