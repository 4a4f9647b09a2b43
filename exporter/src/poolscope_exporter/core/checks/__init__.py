"""Configuration checks: the documented safe ranges, and each pool against them."""
