"""Describe this process: its resource attributes and its limits."""
