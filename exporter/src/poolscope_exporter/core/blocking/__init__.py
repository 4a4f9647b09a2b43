"""Sessions that hold locks: which session at the root keeps which others waiting."""
