"""Values that all of the core shares: checkouts, sessions, servers, endpoints, pushes."""
