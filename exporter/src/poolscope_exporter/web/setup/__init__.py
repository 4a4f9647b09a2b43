"""Show how the exporter is set up: its settings without secrets, and its versions."""
