"""The version of both distributions: change it here, then run `make version`."""

__version__ = "0.1.0"
