"""Tell the user's mistakes, which get one line, from everything else, which keeps its traceback."""

from __future__ import annotations

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from velora.core.errors import VeloraError


def is_expected(error: BaseException) -> bool:
    """Tell whether an error is the user's to mend, so that a traceback would only hide what it says."""
    return isinstance(error, VeloraError | HydraException | OmegaConfBaseException)


def one_line(error: BaseException) -> str:
    """Put an error's message on one line, or its cause's where it has none of its own."""
    text = str(error) or str(error.__cause__ or type(error).__name__)
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())
