"""permessage-deflate: offers and answers."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowtrio.websocket import Deflate
from snowtrio.websocket._wire import accept_offer, check_answer, offer
from snowtrio.websocket._wire._extensions import parse_extensions

NAME = "permessage-deflate"
LARGE = Deflate(window_bits=15, peer_window_bits=15)
ASKED = "client_max_window_bits"


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([], []),
        ([""], []),
        ([" , ,"], []),
        (["a"], [("a", [])]),
        (["a, b", "c"], [("a", []), ("b", []), ("c", [])]),
        (["a;x;y=1 ; z = 2"], [("a", [("x", None), ("y", "1"), ("z", "2")])]),
        (['a; x="1"; y="\\2\\3"'], [("a", [("x", "1"), ("y", "23")])]),
        (['a; x="1" , b'], [("a", [("x", "1")]), ("b", [])]),
    ],
)
def test_extensions(fields: list[str], found: list[object]) -> None:
    """W1, W22: names, parameters, quoted values, several fields."""
    assert [(each.name, list(each.parameters)) for each in parse_extensions(fields)] == found


@pytest.mark.parametrize(
    "field",
    [
        *(
            "a b",
            "a;",
            "a;;x",
            ";x",
            "a; x=",
            "a; =1",
            'a; x="',
            'a; x="1',
            'a; x=""',
            'a; x="1 2"',
        ),
        *('a; x="1,2"', 'a; x="1"2', "a; x=1 2", "ä", 'a; x="1\\"', "a/b", "a; x=1=2", '"a"'),
        "a" + " " * 20_000 + "b",
    ],
)
def test_what_breaks_the_grammar(field: str) -> None:
    """W2, W22: refused on both sides."""
    with pytest.raises(ValueError, match="Sec-WebSocket-Extensions"):
        accept_offer([NAME, field], Deflate())
    with pytest.raises(ValueError, match="Sec-WebSocket-Extensions"):
        check_answer([field], Deflate())


@given(st.text('ab;=", \\\t', max_size=30))
def test_any_field_is_parsed_or_refused(field: str) -> None:
    """W2: with nothing but a ValueError."""
    try:
        parse_extensions([field])
    except ValueError:
        return


@pytest.mark.parametrize(
    ("ours", "said", "answer", "agreed"),
    [
        # bits ours and the peer's, remembering ours and the peer's
        (Deflate(), "", "; server_max_window_bits=12", (12, 15, True, True)),
        (LARGE, "", "", (15, 15, True, True)),
        (LARGE, f"; {ASKED}", "", (15, 15, True, True)),
        (
            Deflate(),
            f"; {ASKED}",
            f"; server_max_window_bits=12; {ASKED}=12",
            (12, 12, True, True),
        ),
        (LARGE, f"; {ASKED}=10", f"; {ASKED}=10", (15, 10, True, True)),
        (LARGE, f'; {ASKED}="10"', f"; {ASKED}=10", (15, 10, True, True)),
        (LARGE, f"; {ASKED}=8", f"; {ASKED}=8", (15, 9, True, True)),
        (LARGE, f"; {ASKED}=15", f"; {ASKED}=15", (15, 15, True, True)),
        (
            LARGE,
            "; server_max_window_bits=9",
            "; server_max_window_bits=9",
            (9, 15, True, True),
        ),
        (
            Deflate(),
            "; server_max_window_bits=15",
            "; server_max_window_bits=12",
            (12, 15, True, True),
        ),
        (
            LARGE,
            "; server_no_context_takeover",
            "; server_no_context_takeover",
            (15, 15, False, True),
        ),
        (
            LARGE,
            "; client_no_context_takeover",
            "; client_no_context_takeover",
            (15, 15, True, False),
        ),
        (
            Deflate(window_bits=15, context_takeover=False, peer_context_takeover=False),
            "",
            "; server_no_context_takeover; client_no_context_takeover",
            (15, 15, False, False),
        ),
    ],
)
def test_a_server_answers_an_offer(
    ours: Deflate, said: str, answer: str, agreed: tuple[int, int, bool, bool]
) -> None:
    """W22: it says what it does, and asks only what may be asked."""
    result = accept_offer([NAME + said], ours)
    assert result is not None
    deflate, told = result
    assert told == NAME + answer
    assert (
        deflate.window_bits,
        deflate.peer_window_bits,
        deflate.context_takeover,
        deflate.peer_context_takeover,
    ) == agreed
    assert deflate.level == ours.level


REFUSED = [
    "; unknown",
    "; unknown=1",
    "; server_no_context_takeover; server_no_context_takeover",
    "; server_max_window_bits=9; server_max_window_bits=10",
    "; server_no_context_takeover=1",
    "; client_no_context_takeover=true",
    "; server_max_window_bits",
    *(
        f"; {name}_max_window_bits={value}"
        for name in ("server", "client")
        for value in ("7", "16", "08", "015", "-9", "9.0", "a", "+9")
    ),
]


@pytest.mark.parametrize("said", [*REFUSED, "; server_max_window_bits=8"])
def test_a_server_declines_an_offer_and_takes_the_next(said: str) -> None:
    """W22: what it does not know, what is there twice, what cannot be, and what zlib cannot do."""
    assert accept_offer([NAME + said], LARGE) is None
    for fields in ([NAME + said, NAME], [f"{NAME}{said}, {NAME}, {NAME}; {ASKED}=9"]):
        assert accept_offer(["x-other; a=b", *fields], LARGE) == (LARGE, NAME)


@pytest.mark.parametrize("fields", [[], ["x-webkit-deflate-frame"], ["Permessage-Deflate"]])
def test_no_offer_no_compression(fields: list[str]) -> None:
    """W22: nor where we do not want it."""
    assert accept_offer(fields, Deflate()) is None
    assert accept_offer([NAME], None) is None
    assert offer(None) is None


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (Deflate(), f"; {ASKED}=12; server_max_window_bits=12"),
        (LARGE, f"; {ASKED}=15"),
        (
            Deflate(peer_window_bits=15, context_takeover=False, peer_context_takeover=False),
            f"; {ASKED}=12; client_no_context_takeover; server_no_context_takeover",
        ),
    ],
)
def test_what_a_client_offers(ours: Deflate, said: str) -> None:
    """W22."""
    assert offer(ours) == NAME + said


@pytest.mark.parametrize(
    ("ours", "answer", "agreed"),
    [
        (LARGE, "", (15, 15, True, True)),
        (LARGE, "; server_max_window_bits=8", (15, 9, True, True)),
        (LARGE, f"; {ASKED}=9", (9, 15, True, True)),
        (Deflate(), f"; server_max_window_bits=10; {ASKED}=15", (12, 10, True, True)),
        (LARGE, "; server_no_context_takeover", (15, 15, True, False)),
        (LARGE, "; client_no_context_takeover", (15, 15, False, True)),
    ],
)
def test_what_a_client_makes_of_an_answer(
    ours: Deflate, answer: str, agreed: tuple[int, int, bool, bool]
) -> None:
    """W22: a server may give more than was asked, and allow more than we said that we use."""
    deflate = check_answer([NAME + answer], ours)
    assert deflate is not None
    assert (
        deflate.window_bits,
        deflate.peer_window_bits,
        deflate.context_takeover,
        deflate.peer_context_takeover,
    ) == agreed


@pytest.mark.parametrize(
    ("ours", "fields"),
    [
        *((LARGE, [NAME + said]) for said in REFUSED),
        (LARGE, [f"{NAME}; {ASKED}"]),
        (LARGE, [f"{NAME}; {ASKED}=8"]),
        (LARGE, [NAME, NAME]),
        (LARGE, [f"{NAME}, {NAME}"]),
        (LARGE, ["x-other"]),
        (LARGE, ["Permessage-Deflate"]),
        (None, [NAME]),
        (Deflate(), [NAME]),
        (Deflate(), [f"{NAME}; server_max_window_bits=13"]),
        (Deflate(peer_window_bits=15, peer_context_takeover=False), [NAME]),
    ],
)
def test_an_answer_that_does_not_fit(ours: Deflate | None, fields: list[str]) -> None:
    """W22: the client refuses what it has not offered, and what is less than it asked."""
    with pytest.raises(ValueError, match=r"\w"):
        check_answer(fields, ours)


def test_no_answer_no_compression() -> None:
    """W22: the server may decline."""
    assert check_answer([], Deflate()) is None
    assert check_answer([], None) is None


SETTINGS = [
    Deflate(
        window_bits=ours, peer_window_bits=peers, context_takeover=own, peer_context_takeover=other
    )
    for ours, peers in itertools.product((9, 12, 15), repeat=2)
    for own, other in itertools.product((False, True), repeat=2)
]


@pytest.mark.parametrize("client", SETTINGS)
def test_both_sides_agree(client: Deflate) -> None:
    """W22: whatever each wants, what they agree on is the same seen from both ends."""
    said = offer(client)
    assert said is not None
    for server in SETTINGS:
        result = accept_offer([said], server)
        assert result is not None
        theirs, answer = result
        ours = check_answer([answer], client)
        assert ours is not None
        assert ours.window_bits == theirs.peer_window_bits
        assert theirs.window_bits == ours.peer_window_bits
        assert ours.context_takeover is theirs.peer_context_takeover
        assert theirs.context_takeover is ours.peer_context_takeover
        assert ours.window_bits <= min(client.window_bits, server.peer_window_bits)
        assert theirs.window_bits <= min(server.window_bits, client.peer_window_bits)
