"""Attach to psycopg_pool's pools; start to read at `install.py`."""
