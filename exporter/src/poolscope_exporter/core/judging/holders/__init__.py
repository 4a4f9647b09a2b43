"""The lines of code at which the owners of connections are."""
