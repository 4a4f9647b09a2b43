"""Attach to SQLAlchemy's pools: begin to read at `install.py`."""
