"""Attach to asyncpg's pools: begin to read at `install.py`."""
