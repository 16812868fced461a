"""Credentials as the value of an ``Authorization`` field."""

from __future__ import annotations

import re
from base64 import b64encode

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


def basic_authorization(user: str, password: str) -> str:
    """Return the value of an ``Authorization`` field with a name and a password (RFC 7617).

    They are readable to everybody who sees the request: use it over TLS.

    Parameters:
        user: without a colon.
        password: anything; both are sent in UTF-8.

    Raises:
        ValueError: the name has a colon in it, and would be read as another one.
    """
    if ":" in user:
        raise ValueError("a user's name with a colon in it would be read as another one")
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")


def bearer_authorization(token: str) -> str:
    """Return the value of an ``Authorization`` field with a token (RFC 6750).

    Parameters:
        token: as whoever issued it gave it.

    Raises:
        ValueError: there is something in it that no token has; the message does not show it.
    """
    if _TOKEN.fullmatch(token) is None:
        raise ValueError("a bearer token is letters, digits and -._~+/, with = at its end")
    return "Bearer " + token
