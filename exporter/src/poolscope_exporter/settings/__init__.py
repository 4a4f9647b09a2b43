"""Settings of the exporter: flags, variables and the settings file."""
