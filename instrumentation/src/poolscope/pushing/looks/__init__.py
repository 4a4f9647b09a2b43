"""The results of the looks at owners, as data points for the exporter."""
