"""Run blocking work beside the event loop, separately per purpose; the end waits for none of it."""
