"""Compare runs: learning curves, what was reached and how sure that is, as a page, pictures and tables."""
