"""Decide what of a push is kept: known metrics, within limits, under the id of one process."""
