"""Limits of servers and PgBouncers, and what the fleet may use of them."""
