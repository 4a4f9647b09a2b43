"""Generate the dashboards from the thresholds and the catalogues: `make rules`."""
