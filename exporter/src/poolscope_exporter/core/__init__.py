"""The decisions of the exporter: pure functions and values, without clock, driver or event loop."""
