"""Read runs and compare them: a run store over directories, learning curves, statistics over seeds."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand

if TYPE_CHECKING:
    from velora.analysis.collection import Runs
    from velora.analysis.find import find_runs
    from velora.analysis.rows import Rows
    from velora.analysis.run import Run

__all__ = ["Rows", "Run", "Runs", "find_runs"]
__getattr__, __dir__ = on_demand(__name__, {"Rows": "rows", "Run": "run", "Runs": "collection", "find_runs": "find"})
