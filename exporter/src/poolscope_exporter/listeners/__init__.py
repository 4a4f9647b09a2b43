"""HTTP listeners with limits: connections, open files, tokens and access rules."""
