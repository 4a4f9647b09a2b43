"""Generate the alert rules from the documented thresholds: `make rules`."""
