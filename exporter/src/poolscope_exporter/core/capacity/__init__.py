"""Limits of servers and PgBouncers, and the fleet's use of them."""
