"""The OTLP/HTTP receiver: from a request's body to a push."""
