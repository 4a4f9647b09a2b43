"""Notes of slow waits and uses, with the context in which they happened."""
