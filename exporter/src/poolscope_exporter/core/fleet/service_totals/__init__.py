"""Totals of the pools of each service, over its processes: routes, releases."""
