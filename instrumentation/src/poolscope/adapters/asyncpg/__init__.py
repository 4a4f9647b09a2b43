"""Attach to asyncpg's pools; start to read at `install.py`."""
