"""The version of the exporter; a contract test holds it to that of `poolscope`."""

__version__ = "0.1.0"
