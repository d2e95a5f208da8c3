"""The executors of networks and updates: in C, in arrays of NumPy or PyTorch, and the choice among them."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand

if TYPE_CHECKING:
    from velora.kernels.choice import (
        KERNELS,
        KernelReport,
        choose,
        chosen,
        instruction_set,
        make_backend,
        report,
        using,
    )
    from velora.kernels.native.binding import extension

__all__ = [
    "KERNELS",
    "KernelReport",
    "choose",
    "chosen",
    "extension",
    "instruction_set",
    "make_backend",
    "report",
    "using",
]
__getattr__, __dir__ = on_demand(
    __name__,
    {
        **dict.fromkeys(
            ("KERNELS", "KernelReport", "choose", "chosen", "instruction_set", "make_backend", "report", "using"),
            "choice",
        ),
        "extension": "native.binding",
    },
)
