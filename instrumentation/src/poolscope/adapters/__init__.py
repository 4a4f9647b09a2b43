"""Attach to one library each: translate its calls and events, decide nothing.

Each has an `install(registry)`, which returns the function that takes everything away again;
`instrumentation.py` lists them.
"""
