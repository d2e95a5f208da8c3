"""Look at finished runs: learning curves with confidence bands, and the statistics behind them."""
