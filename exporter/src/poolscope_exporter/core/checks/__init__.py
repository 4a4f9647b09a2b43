"""Configuration checks: compare each pool with the documented safe ranges."""
