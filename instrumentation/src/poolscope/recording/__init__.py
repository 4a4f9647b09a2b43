"""Code that runs in the application's calls: no lock, no log and no OpenTelemetry object."""
