"""Translate the names, attributes and units of other senders into those of the wire catalogue."""
