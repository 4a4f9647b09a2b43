"""What every dashboard is built from: panels, tables, variables, colours."""
