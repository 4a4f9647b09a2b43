"""Attach to psycopg_pool's pools: begin to read at `install.py`."""
