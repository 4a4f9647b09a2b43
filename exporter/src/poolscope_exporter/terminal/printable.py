"""Make texts from outside safe for a terminal."""


def printable(line: str) -> str:
    """Return a line in which characters that could steer a terminal are `?`."""
    return "".join(each if each.isprintable() else "?" for each in line)
