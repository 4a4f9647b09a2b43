"""The version of the instrumentation; a contract test holds the exporter's to it."""

__version__ = "0.1.0"
