"""Attach to one library each: translate its calls and events, and decide nothing.

Each adapter has an `install(registry)`, which returns the function that undoes everything. The list
of adapters is in `instrumentation.py`.
"""
