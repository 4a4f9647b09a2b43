"""What the exporter knows and decides: pure functions and values, without clock, driver or loop."""
