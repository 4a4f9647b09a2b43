"""The watcher's thread: it counts, searches leaks and watches event loops; it pushes nothing."""
