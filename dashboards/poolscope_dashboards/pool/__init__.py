"""The dashboard of one pool."""
