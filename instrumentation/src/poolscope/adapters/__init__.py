"""Attach to one pool library each: translate its calls and events, decide nothing.

An adapter is a module with `REQUIRES`, the package that must be installed, and
`install(registry)`, which returns the function that takes everything away again.
"""
