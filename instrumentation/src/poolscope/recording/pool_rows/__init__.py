"""The rows in which pools are reported, and the pools that have one of them after another."""
