"""permessage-deflate: what the two sides agree on (RFC 7692, sections 5 and 7.1).

===============================  =====================================  ========================
parameter                        in a client's offer                    in a server's answer
===============================  =====================================  ========================
server_no_context_takeover       the server must not remember           it will not
client_no_context_takeover       the client will not remember           it must not
server_max_window_bits=8…15      the server's window, at most           what it will be
client_max_window_bits[=8…15]    the server may bound the client's      what it is, at most
===============================  =====================================  ========================
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ._deflate import Deflate
from ._extensions import Extension, Parameters, parse_extensions

_NAME = "permessage-deflate"
_SERVER_FORGETS = "server_no_context_takeover"
_CLIENT_FORGETS = "client_no_context_takeover"
_SERVER_BITS = "server_max_window_bits"
_CLIENT_BITS = "client_max_window_bits"

# Compressing with a window of 8 bits is more than zlib can do; 15 bits are what RFC 7692 assumes
# where nothing is said.
_LEAST = 9
_MOST = 15


@attrs.frozen
class _Terms:
    """What the parameters of an offer or an answer say."""

    server_forgets: bool
    client_forgets: bool
    server_bits: int | None
    client_bits: int | None
    client_bits_asked: bool
    """Whether the client's were named, be it without a number, as an offer may."""


def offer(deflate: Deflate | None) -> str | None:
    """Return what a client offers in ``Sec-WebSocket-Extensions``, None for nothing.

    Parameters:
        deflate: how we would compress; None is not at all.
    """
    if deflate is None:
        return None
    said = [_NAME, _bits(_CLIENT_BITS, deflate.window_bits)]
    if deflate.peer_window_bits < _MOST:
        said.append(_bits(_SERVER_BITS, deflate.peer_window_bits))
    if not deflate.context_takeover:
        said.append(_CLIENT_FORGETS)
    if not deflate.peer_context_takeover:
        said.append(_SERVER_FORGETS)
    return "; ".join(said)


def accept_offer(fields: Sequence[str], deflate: Deflate | None) -> tuple[Deflate, str] | None:
    """Return what a server agrees to and what it answers, None where it takes no offer.

    An offer that we do not understand is none; the first one that can be taken is.

    Parameters:
        fields: the ``Sec-WebSocket-Extensions`` of the request.
        deflate: how we would compress; None is not at all.

    Raises:
        ValueError: the fields break the grammar.
    """
    if deflate is None:
        return None
    for extension in parse_extensions(fields):
        if (terms := _read_offer(extension)) is not None:
            return _agree(terms, deflate)
    return None


def _read_offer(extension: Extension) -> _Terms | None:
    if extension.name != _NAME:
        return None
    try:
        terms = _read_terms(extension.parameters, answer=False)
    except ValueError:
        return None
    too_small = terms.server_bits is not None and terms.server_bits < _LEAST
    return None if too_small else terms


def _agree(terms: _Terms, deflate: Deflate) -> tuple[Deflate, str]:
    """Return what comes of an offer; see the table above."""
    bits = min(deflate.window_bits, terms.server_bits or _MOST)
    remembers = deflate.context_takeover and not terms.server_forgets
    # The peer's can be bounded only where it says that it can do that.
    peer_bits = terms.client_bits or _MOST
    if terms.client_bits_asked:
        peer_bits = min(peer_bits, deflate.peer_window_bits)
    peer_remembers = deflate.peer_context_takeover and not terms.client_forgets
    said = [_NAME]
    if not remembers:
        said.append(_SERVER_FORGETS)
    if not peer_remembers:
        said.append(_CLIENT_FORGETS)
    if bits < _MOST or terms.server_bits is not None:
        said.append(_bits(_SERVER_BITS, bits))
    if terms.client_bits_asked and (peer_bits < _MOST or terms.client_bits is not None):
        said.append(_bits(_CLIENT_BITS, peer_bits))
    return _agreed(deflate, bits, peer_bits, remembers, peer_remembers), "; ".join(said)


def check_answer(fields: Sequence[str], deflate: Deflate | None) -> Deflate | None:
    """Return what a client has to do as the server has answered, None for no compression.

    Parameters:
        fields: the ``Sec-WebSocket-Extensions`` of the response.
        deflate: what was offered.

    Raises:
        ValueError: the answer does not fit what was offered, or breaks the grammar.
    """
    answers = parse_extensions(fields)
    if not answers:
        return None
    if deflate is None or len(answers) > 1 or answers[0].name != _NAME:
        names = ", ".join(each.name for each in answers)
        raise ValueError(f"the server uses extensions that were not offered: {names}")
    terms = _read_terms(answers[0].parameters, answer=True)
    if not deflate.peer_context_takeover and not terms.server_forgets:
        raise ValueError(f"the server does not agree to {_SERVER_FORGETS}")
    peer_bits = terms.server_bits or _MOST
    if peer_bits > deflate.peer_window_bits:
        raise ValueError(f"the server does not agree to {_SERVER_BITS}={deflate.peer_window_bits}")
    # What it allows may be more than we said that we use (section 7.1.2.2).
    bits = min(deflate.window_bits, terms.client_bits or _MOST)
    if bits < _LEAST:
        raise ValueError(f"a window of {bits} bits is more than zlib can do")
    remembers = deflate.context_takeover and not terms.client_forgets
    return _agreed(deflate, bits, peer_bits, remembers, not terms.server_forgets)


def _agreed(
    deflate: Deflate, bits: int, peer_bits: int, remembers: bool, peer_remembers: bool
) -> Deflate:
    return attrs.evolve(
        deflate,
        window_bits=bits,
        peer_window_bits=max(peer_bits, _LEAST),  # A larger one decompresses the same.
        context_takeover=remembers,
        peer_context_takeover=peer_remembers,
    )


def _bits(name: str, bits: int) -> str:
    return f"{name}={bits}"


def _read_terms(parameters: Parameters, *, answer: bool) -> _Terms:
    """Return what parameters say.

    Raises:
        ValueError: one is unknown, stands there twice, or has a value that it cannot have.
    """
    given = dict(parameters)
    if len(given) < len(parameters):
        raise ValueError(f"a parameter of {_NAME} stands there twice")
    if unknown := given.keys() - {_SERVER_FORGETS, _CLIENT_FORGETS, _SERVER_BITS, _CLIENT_BITS}:
        raise ValueError(f"{_NAME} has no parameter {', '.join(sorted(unknown))}")
    for name in (_SERVER_FORGETS, _CLIENT_FORGETS):
        if given.get(name) is not None:
            raise ValueError(f"{name} has no value")
    return _Terms(
        server_forgets=_SERVER_FORGETS in given,
        client_forgets=_CLIENT_FORGETS in given,
        server_bits=_read_bits(given, _SERVER_BITS, needed=True),
        client_bits=_read_bits(given, _CLIENT_BITS, needed=answer),
        client_bits_asked=_CLIENT_BITS in given,
    )


def _read_bits(given: dict[str, str | None], name: str, *, needed: bool) -> int | None:
    if name not in given:
        return None
    value = given[name]
    if value is None and not needed:
        return None
    if value not in {"8", "9", "10", "11", "12", "13", "14", "15"}:
        raise ValueError(f"{name} is a number from 8 to 15")
    return int(value)
