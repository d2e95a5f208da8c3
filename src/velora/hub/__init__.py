"""Share trained agents: a folder with a checkpoint and a model card, pushed to a Hub and pulled from one."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand

if TYPE_CHECKING:
    from velora.hub.folder import write_folder
    from velora.hub.pulling import Pulled, pull
    from velora.hub.pushing import Pushed, push

__all__ = ["Pulled", "Pushed", "pull", "push", "write_folder"]
__getattr__, __dir__ = on_demand(
    __name__,
    {"Pulled": "pulling", "Pushed": "pushing", "pull": "pulling", "push": "pushing", "write_folder": "folder"},
)
