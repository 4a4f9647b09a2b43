"""Classify a driver's exception: why a connect failed, or why a connection was lost."""
