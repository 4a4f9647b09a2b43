"""The error that ends the demo."""


class DemoError(RuntimeError):
    """The demo cannot continue; the message gives the reason, and the cure if there is one."""
