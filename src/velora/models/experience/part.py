"""Agent as its parts know it."""

from __future__ import annotations

import weakref

from velora.models.agent import Agent


class AgentPart:
    """A part that reaches the agent which holds it, without keeping that alive.

    A cycle of references would keep the buffer of a dropped agent until Python happens to look for cycles.
    """

    def __init__(self, agent: Agent) -> None:
        self._held_by = weakref.ref(agent)

    @property
    def agent(self) -> Agent:
        """The agent that holds this part."""
        agent = self._held_by()
        assert agent is not None, "the agent of this experience was dropped; keep a reference to it"
        return agent
