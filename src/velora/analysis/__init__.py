"""Read runs and compare them: a run store over directories, learning curves, statistics over seeds."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand

if TYPE_CHECKING:
    from velora.analysis.collection import Runs
    from velora.analysis.comparison.comparison import Comparison, compare
    from velora.analysis.curves import plot_runs
    from velora.analysis.find import find_runs
    from velora.analysis.rows import Rows
    from velora.analysis.run import Run
    from velora.watch.trace import trace

__all__ = ["Comparison", "Rows", "Run", "Runs", "compare", "find_runs", "plot_runs", "trace"]
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "Comparison": "comparison.comparison",
        "Rows": "rows",
        "Run": "run",
        "Runs": "collection",
        "compare": "comparison.comparison",
        "find_runs": "find",
        "plot_runs": "curves",
        "trace": "velora.watch.trace",
    },
)
