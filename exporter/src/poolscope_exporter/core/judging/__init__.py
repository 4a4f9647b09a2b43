"""Verdicts on held checkouts and diagnoses of pools."""
