"""The executors of networks and updates: in C, in arrays of NumPy or PyTorch, and the choice among them."""

from velora.kernels.choose import KERNELS, KernelReport, choose, chosen, make_backend, report, using
from velora.kernels.native.binding import extension

__all__ = ["KERNELS", "KernelReport", "choose", "chosen", "extension", "make_backend", "report", "using"]
