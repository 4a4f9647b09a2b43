"""The dashboard of the error budget of each pool."""
