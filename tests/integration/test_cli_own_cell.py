"""A cell from outside Velora on the command line: trained, evaluated, resumed and verified, each time named anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import Command
from tests.unit.models import own_cells
from velora.nn.cells.registry import OWN

SHORT = (
    "train.n_episodes=1", "agent.warmup_steps=190", "agent.n_neurons=5", "train.batch_size=8", "device=cpu",
    "train.evaluation_episodes=1", "train.progress_bar=false", "train.summary=false",
)  # fmt: skip
CELL = "agent.cell=command_cells.Integrator"


@pytest.mark.slow
def test_a_cell_of_ones_own_is_named_each_time(command: Command, tmp_path: Path) -> None:
    (tmp_path / "command_cells.py").write_text(Path(own_cells.__file__).read_text())
    done = command("train", CELL, *SHORT, "train.seed=0", "hydra.run.dir=run")
    assert done.code == 0, done.err
    assert f"evaluate  velora evaluate checkpoint=run/checkpoints/final {CELL}" in done.out.splitlines()
    assert f"go on     velora train resume=run {CELL} train.n_episodes=2" in done.out.splitlines()
    OWN.clear()  # as in a process of its own

    refused = command("evaluate", "checkpoint=run")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.endswith(
        f"'command_cells.Integrator' is code from outside Velora; if you trust it, add {CELL}\n"
    )
    assert command("train", "resume=run").err.endswith(f"if you trust it, add {CELL} to the command line\n")
    assert "with a cell 'command_cells.Integrator', which isn't registered here" in command("verify", "run").out

    shown = command("show", "run").out
    assert "LiquidDDPG(3, 5, 1, cell='command_cells.Integrator', warmup_steps=190, seed=0)" in shown
    assert "not loaded: cell=command_cells.Integrator beside velora show imports it" in shown
    assert "parameters" not in shown
    assert "command_cells.Integrator; " in command("show", "run", "cell=command_cells.Integrator").out
    OWN.clear()

    assert command("evaluate", "checkpoint=run", "episodes=1", CELL).code == 0
    assert command("train", "resume=run", CELL, "train.n_episodes=2").code == 0
    verified = command("verify", "run", "cell=command_cells.Integrator")
    assert verified.code == 0
    assert "only its bytes" not in verified.out


def test_slips_are_one_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "command_cells_2.py").write_text("class Integrator: ...\n")
    for cell, message in (
        ("command_cells_2.Integratr", "agent.cell: command_cells_2 has no class 'Integratr'; did you mean Integrator?"),
        ("command_cells_3.Integrator", "agent.cell: there is no module 'command_cells_3'"),
        ("command_cells_2.Integrator", "agent.cell: expected a subclass of velora.nn.cells.Cell, got "),
    ):
        done = command("train", f"agent.cell={cell}", *SHORT)
        assert done.code == 2
        assert message in done.err
        assert done.err.count("\n") == 1


AGENT = """
import dataclasses
import velora
from velora.models import LiquidDDPG
from velora.models.options import option
from velora.models.settings import DDPGSettings

class SparingSettings(DDPGSettings):
    effort: float = option(0.01, "what a squared action costs", group="learning", ge=0.0)

@velora.register
class SparingDDPG(LiquidDDPG):
    key = "sparing_ddpg_of_a_test"
    settings_type = SparingSettings

    def training_step(self, batch):
        cost = self.settings.effort * batch.action.square().sum(3)
        return super().training_step(dataclasses.replace(batch, reward=batch.reward - cost))
"""


def test_an_agent_of_ones_own_has_settings_of_its_own(command: Command, tmp_path: Path) -> None:
    (tmp_path / "command_agents.py").write_text(AGENT)
    own = "agent._target_=command_agents.SparingDDPG"
    done = command("train", own, "+agent.effort=0.5", *SHORT, "hydra.run.dir=run")
    assert done.code == 0, done.err
    assert "effort=0.5" in command("show", "run").out
    refused = command("train", own, "+agent.efort=0.5", *SHORT)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "agent.efort: SparingDDPG has no such setting; did you mean effort?" in refused.err
