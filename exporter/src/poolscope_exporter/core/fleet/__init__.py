"""The state of every process that pushes: its pools, series and held checkouts."""
