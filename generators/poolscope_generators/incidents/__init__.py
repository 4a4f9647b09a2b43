"""The played incidents: their truth, the record of each, and the page that shows the outcome."""
