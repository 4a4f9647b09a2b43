"""What runs in the application's calls: no lock, no log, no OpenTelemetry object."""
