"""The wiring of an agent's policy, to be drawn."""

from __future__ import annotations

from velora.analysis.wiring import Circuit
from velora.models.agent import Agent
from velora.models.make_networks import draw_wirings
from velora.nn.cells.registry import find_row


def wiring_of(agent: Agent) -> Circuit:
    """Describe the circuit of a policy; its seed draws it.

    Args:
        agent: of one seed.
    """
    row = find_row(str(agent.settings.cell))
    (drawn,) = draw_wirings(agent, "wiring", agent.n_features, agent.settings.action_dim)
    return Circuit.of(drawn, is_circuit=row is not None and row.is_circuit)
