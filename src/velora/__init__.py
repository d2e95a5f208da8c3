"""Velora: liquid neural networks that learn to control things."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand
from velora.core.version import __version__

if TYPE_CHECKING:
    from velora.models.loading import from_pretrained, load, register
    from velora.models.verifying import verify
    from velora.models.zoo import zoo

__all__ = ["__version__", "from_pretrained", "load", "register", "verify", "zoo"]
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "from_pretrained": "models.loading",
        "load": "models.loading",
        "register": "models.loading",
        "verify": "models.verifying",
        "zoo": "models.zoo",
    },
)
