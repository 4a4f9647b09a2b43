"""The occupancy profile as rows, and their documentation."""
