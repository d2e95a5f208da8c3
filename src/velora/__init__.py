"""Velora: liquid neural networks that learn to control things."""

__version__: str


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: reading a package's metadata takes as long as a mistyped command."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    globals()["__version__"] = found = version(__name__)
    return found
