"""The hub's HTTP routes, a module per noun. They translate; what is decided is decided behind them."""
