"""Keep data on disk over a restart; without a state directory, it is lost with the process."""
