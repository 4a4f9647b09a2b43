"""Conditions that several alerts share."""
