"""How the action that a policy prefers follows from what its network puts out."""

from __future__ import annotations

from enum import Enum


class Choice(Enum):
    """As it is, the tanh of its first A numbers, or the number of the largest one."""

    AS_IS = "as it is"
    TANH = "tanh"
    LARGEST = "largest"
