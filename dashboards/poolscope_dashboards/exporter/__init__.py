"""The dashboard of the exporter: its polls and its receiver."""
