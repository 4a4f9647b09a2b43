"""Tables in documents that follow from the code or from measured numbers."""
