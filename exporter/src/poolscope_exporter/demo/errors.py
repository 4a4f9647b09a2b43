"""The error that ends the demo."""


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why, and the cure where there is one."""
