"""Links between an application's checkouts and PostgreSQL's sessions."""
