"""A run to watch while it trains: curves, lists, Stop and Resume."""
