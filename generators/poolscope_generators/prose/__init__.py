"""Measure how easy the texts of the project are to read, and name what is not."""
