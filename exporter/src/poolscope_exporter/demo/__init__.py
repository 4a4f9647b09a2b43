"""The demo: an embedded PostgreSQL, a sample app with one leak, its load and the exporter."""
