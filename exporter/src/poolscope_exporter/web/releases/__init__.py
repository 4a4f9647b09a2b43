"""Compare the versions of a service, before and after a release."""
