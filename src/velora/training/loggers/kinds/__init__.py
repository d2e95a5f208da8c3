"""The kinds of loggers that Velora knows."""

from __future__ import annotations

from typing import Final

from velora.training.loggers.kinds.base import Kind, NamedKind
from velora.training.loggers.kinds.comet import Comet
from velora.training.loggers.kinds.files import Csv, TensorBoard
from velora.training.loggers.kinds.mlflow import MLflow
from velora.training.loggers.kinds.trackio import Trackio
from velora.training.loggers.kinds.wandb import Wandb

KINDS: Final[dict[str, type[NamedKind]]] = {
    kind.name: kind for kind in (Csv, TensorBoard, Wandb, MLflow, Trackio, Comet)
}
"""Those that ``logger=<name>`` chooses."""


def named_kind_of(target: type) -> type[NamedKind] | None:
    """Return the kind of a class, or of one that it is made from; ``None`` if Velora knows none of them.

    The standalone package ``pytorch_lightning`` has the same classes once more.
    """
    for base in target.__mro__:
        for kind in KINDS.values():
            package, _, name = kind.target.partition(":")
            packages = (package, package.replace("lightning.pytorch", "pytorch_lightning"))
            if base.__name__ == name and base.__module__.startswith(packages):
                return kind
    return None


def kind_of(logger: object) -> Kind:
    """Make the kind of a logger that is there already."""
    kind = named_kind_of(type(logger))
    return Kind() if kind is None else kind()


__all__ = ["KINDS", "Kind", "NamedKind", "kind_of", "named_kind_of"]
