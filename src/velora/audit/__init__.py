"""Audit a policy: what its network does, in numbers that can be checked, bounds that hold, and pictures."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand

if TYPE_CHECKING:
    from velora.audit.auditing import audit
    from velora.audit.findings import Audit

__all__ = ["Audit", "audit"]
__getattr__, __dir__ = on_demand(__name__, {"Audit": "findings", "audit": "auditing"})
