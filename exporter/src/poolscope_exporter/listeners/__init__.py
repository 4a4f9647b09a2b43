"""HTTP listeners with bounds: connections, open files, tokens, access rules."""
