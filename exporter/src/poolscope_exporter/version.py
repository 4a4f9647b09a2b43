"""The version of the exporter: written by `make version` from that of `poolscope`."""

__version__ = "0.1.0"
