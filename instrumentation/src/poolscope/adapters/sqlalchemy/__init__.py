"""Attach to SQLAlchemy's pools; start to read at `install.py`."""
