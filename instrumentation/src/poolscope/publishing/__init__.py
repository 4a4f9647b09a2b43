"""Publish the aggregates in the application itself, beside or instead of pushes."""
