"""The model zoo: the best agents of the studies as checkpoints in the package, with what each of them earns.

``python -m benchmarks.learning.zoo`` takes them from the last runs of their arms (``outputs/bench-learning``),
evaluates them in episodes that training never used, and writes ``src/velora/zoo``; the agents of arms that weren't run
stay. With names of exhibits it takes only those.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.learning import arms, study_results
from benchmarks.learning.studies import STUDIES, Arm, Study
from velora.checkpoint.registry import agents
from velora.core import zoo
from velora.core.zoo import PLACE, SCORES, Score
from velora.models import Agent

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "outputs" / "bench-learning"
"""Where every arm of ours leaves its best checkpoint."""
PAGE = """# Model zoo

The best agents of the [studies](../../../benchmarks/learning/README.md), without what they would need to learn on. They
come with the package, and each loads in one line:

```python
import velora

agent = velora.zoo("{name}")
```

Commands take them as `zoo:{name}`, and `velora.zoo()` lists them.

The score is the mean return of {episodes} episodes that neither training nor the choice of the checkpoint used.
`python -m benchmarks.learning.zoo` makes this folder from the last runs of the arms; a test plays the episodes again.

<!-- --8<-- [start:table] -->
| name | task | agent | cell | neurons | score |
|---|---|---|---|---|---|
{rows}
<!-- --8<-- [end:table] -->
"""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One agent of the zoo: the best seed and evaluation of an arm."""

    name: str
    study: str
    arm: str


EXHIBITS = (
    Exhibit("pendulum", "Pendulum", "LiquidSAC"),
    Exhibit("inverted-pendulum", "InvertedPendulum", "LiquidTD3"),
    Exhibit("cartpole", "CartPole", "LiquidPPO"),
    Exhibit("pendulum-positions", "Pendulum, positions", "LiquidTD3, cfc"),
    Exhibit("pendulum-irregular-time", "Pendulum, irregular time", "cfc, dt in the gate"),
    Exhibit("half-cheetah", "HalfCheetah", "LiquidSAC"),
    Exhibit("mountain-car", "MountainCarContinuous", "LiquidTD3"),
    Exhibit("cartpole-positions", "CartPole, positions", "LiquidPPO, cfc"),
    Exhibit(
        "inverted-pendulum-irregular-time", "InvertedPendulum, irregular time", "cfc, mixed memory, dt in the gate"
    ),
)


def find(exhibit: Exhibit) -> tuple[Study, Arm]:
    """Return the study and the arm that an exhibit comes from."""
    study = STUDIES[exhibit.study]
    return study, next(arm for arm in study.arms if arm.name == exhibit.arm)


def score(agent: Agent, study: Study) -> float:
    """Return what an agent earns, on average, in the test episodes of a study."""
    return float(arms.returns(agent, study, study.wrappers).mean())


def load(checkpoint: Path, key: str) -> Agent:
    """Load an agent of the zoo."""
    agent = agents.get(key).load(checkpoint, device="cpu")
    assert isinstance(agent, Agent)
    return agent


def main(names: Sequence[str]) -> None:
    """Write the exhibits of these names anew, or all; what was trained elsewhere stays as it is."""
    before = {(one.study, one.arm): one for one in zoo.scores().values()}
    scores = []
    for exhibit in EXHIBITS:
        study, arm = find(exhibit)
        assert arm.agent is not None
        kept = next(study_results.path(KEPT, study, arm).with_suffix("").glob("ep*"), None)
        if kept is None or (names and exhibit.name not in names):
            scores.append(before[exhibit.study, exhibit.arm])
            continue
        agent = load(kept, arm.agent)
        agent.learner.load_optimizer_state({}, 0)  # the zoo is for acting; it stays small
        shutil.rmtree(PLACE / exhibit.name, ignore_errors=True)
        agent.save(PLACE / exhibit.name / kept.name, config=True)
        settings = agent.settings
        own = (f"{exhibit.name}/{kept.name}", type(agent).__name__, settings.cell, settings.n_neurons)
        scores.append(Score(*own, exhibit.study, exhibit.arm, round(score(agent, study), 2), arms.TEST_EPISODES))
        print(scores[-1], flush=True)
    (PLACE / SCORES).write_text(json.dumps([asdict(one) for one in scores], indent=2) + "\n")
    (PLACE / "README.md").write_text(overview(scores))


def overview(scores: list[Score]) -> str:
    """Write the zoo's page."""
    first = scores[0]
    rows = [f"| {s.name} | {s.study} | {s.agent} | {s.cell} | {s.neurons} | {s.mean_return:.1f} |" for s in scores]
    return PAGE.format(name=first.name, episodes=first.episodes, rows="\n".join(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
