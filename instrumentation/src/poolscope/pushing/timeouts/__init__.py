"""Report the first time-out of a pool: in the application's log, and to the exporter."""
