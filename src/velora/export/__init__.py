"""Turn trained policies into files that run without Velora."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand

if TYPE_CHECKING:
    from velora.export.exporting import Exported, export
    from velora.export.manifest import Manifest
    from velora.export.policy import Policy
    from velora.export.replay import Replay
    from velora.export.targets import TARGETS, Options, Target

__all__ = ["TARGETS", "Exported", "Manifest", "Options", "Policy", "Replay", "Target", "export"]
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "TARGETS": "targets",
        "Exported": "exporting",
        "Manifest": "manifest",
        "Options": "targets",
        "Policy": "policy",
        "Replay": "replay",
        "Target": "targets",
        "export": "exporting",
    },
)
