"""Texts: of the files, and of the annotations."""
