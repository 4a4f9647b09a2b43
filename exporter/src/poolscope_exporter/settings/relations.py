"""Parse the settings that depend on others: which they require and which they exclude."""

from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from poolscope_exporter.core.model.endpoints import Endpoint, is_loopback
from poolscope_exporter.settings import values
from poolscope_exporter.settings.declaration import Dependent, OtherSettings


def _otlp_listen(value: object, others: OtherSettings) -> Endpoint:
    endpoint = values.endpoint(value, "127.0.0.1")
    if is_loopback(endpoint.address):
        return endpoint
    # If another setting is invalid, its value is unknown and it is already reported.
    tokens = others.known_values("token", "token_file")
    if tokens is not None and not any(tokens):
        raise ValueError(
            "receives from other machines, which needs a token:"
            " set POOLSCOPE_TOKEN or --token-file, or listen on 127.0.0.1"
        )
    encryption = others.known_values("otlp_tls_key", "insecure_otlp")
    if encryption is not None and not any(encryption):
        raise ValueError(
            "receives tokens from other machines, which needs TLS: set --otlp-tls-cert and"
            " --otlp-tls-key, or --insecure-otlp if a mesh encrypts, or listen on 127.0.0.1"
        )
    return endpoint


def _token_file(value: object, others: OtherSettings) -> Path:
    token = others.known_values("token")
    if token is not None and any(token):
        raise ValueError("POOLSCOPE_TOKEN is also set; keep one of the two")
    return values.token_file(value)


def _key(cert_field: str, value: object, others: OtherSettings) -> Path | None:
    """Return the private key; a key needs a certificate, and a certificate needs a key."""
    known = others.known_values(cert_field)
    if known is None:
        return None
    (cert,) = known
    if (cert is None) != (value is None):
        raise ValueError(f"is used with {others.names_of(cert_field)}; set both or none")
    if value is None:
        return None
    key = values.readable_file(value)
    values.check_certificate(cert, key)
    return key


def _forward_to(value: object, others: OtherSettings) -> str:
    found = values.url(value)
    parts = urlsplit(found)
    is_here = is_loopback(parts.hostname or "")
    (own,) = others.known_values("otlp_listen") or (None,)
    if own and is_here and own.port and parts.port == own.port:
        raise ValueError("is this exporter's own receiver; it would forward to itself in a loop")
    token_file = others.known_values("forward_token_file")
    if parts.scheme == "http" and not is_here and token_file and any(token_file):
        raise ValueError("would send the token of --forward-token-file unencrypted; use https")
    return found


OTLP_LISTEN = Dependent(_otlp_listen)
TOKEN_FILE = Dependent(_token_file)
TLS_KEY = Dependent(partial(_key, "tls_cert"), if_absent=True)
OTLP_TLS_KEY = Dependent(partial(_key, "otlp_tls_cert"), if_absent=True)
FORWARD_TO = Dependent(_forward_to)
