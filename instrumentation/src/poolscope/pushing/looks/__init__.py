"""What the looks of the watcher found, as data points for the exporter."""
