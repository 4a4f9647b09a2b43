"""Incidents: from the evidence that a pool is in trouble to the end of the trouble."""
