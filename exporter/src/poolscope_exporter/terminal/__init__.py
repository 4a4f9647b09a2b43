"""Views of pools, holders and lock queues for a terminal, for `top` and for the demo."""
