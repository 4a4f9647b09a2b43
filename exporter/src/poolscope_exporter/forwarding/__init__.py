"""Forwarding of received metrics to another OTLP endpoint."""
