"""Send pushes to all endpoints at the same time, each within a time limit."""
