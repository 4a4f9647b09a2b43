"""Values shared by the whole core: checkouts, sessions, servers, endpoints and pushes."""
