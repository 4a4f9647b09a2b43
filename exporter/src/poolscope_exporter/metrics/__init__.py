"""The Prometheus exposition at /metrics."""
