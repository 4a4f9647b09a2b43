"""Spans and exemplars, made afterwards from the notes of the hooks."""
