"""Find the requests of web frameworks other than Starlette, and the templates of their routes."""
