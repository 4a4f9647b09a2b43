"""Settings of the exporter: flags, variables, the settings file."""
