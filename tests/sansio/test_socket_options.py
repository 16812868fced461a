"""What socket options become on platforms that have them, and on those that do not (row P3)."""

from __future__ import annotations

import pickle
from typing import Any

import attrs
import pytest

from snowtrio import KeepAlive, SocketOptionError, SocketOptions, UnsupportedOptionError
from snowtrio._transport._option_table import (
    DEFAULTS,
    ROWS,
    Kind,
    Lookup,
    Setting,
    Stage,
    plan_settings,
)

LEVELS = {"SOL_SOCKET": 1, "IPPROTO_IP": 0, "IPPROTO_IPV6": 41, "IPPROTO_TCP": 6}
ALL = sorted({name for row in ROWS for name in row.numbers})


def platform(*without: str, only: tuple[str, ...] | None = None) -> Lookup:
    """Return the constants of a platform, each with a number of its own."""
    names = ALL if only is None else only
    numbers = {name: 100 + ALL.index(name) for name in names if name not in without}
    return (LEVELS | numbers).get


def plan(
    options: SocketOptions | None,
    kind: Kind = Kind.TCP_CONNECTION,
    *,
    ipv6: bool = False,
    lookup: Lookup | None = None,
) -> dict[tuple[str, int], Any]:
    """Return the values by what the user calls them and where they go."""
    settings = plan_settings(options, kind, ipv6=ipv6, lookup=lookup or platform())
    return {(each.name, each.number): each.value for each in settings}


def number(name: str) -> int:
    return 100 + ALL.index(name)


GIVEN = SocketOptions(
    reuse_address=True,
    reuse_port=True,
    ipv6_only=True,
    keep_alive=KeepAlive(idle=60, interval=10, count=3),
    no_delay=True,
    linger=0,
    receive_buffer_size=1,
    send_buffer_size=1,
    unsent_low_water=1,
    user_timeout=1,
    defer_accept=1,
    fast_open=1,
    congestion_control="reno",
    dscp=1,
    hop_limit=1,
    mark=1,
    bind_to_device="lo",
    broadcast=True,
)


def test_every_option_has_a_row() -> None:
    """P3: what can be said is known to the table, and the other way round."""
    fields = {field.name for field in attrs.fields(SocketOptions)} - {"extra", "unsupported"}
    times = {f"keep_alive.{field.name}" for field in attrs.fields(KeepAlive)}
    assert {row.name for row in ROWS} == fields | times
    assert not [name for name in fields if getattr(GIVEN, name) is None]


@pytest.mark.parametrize("name", sorted({row.name for row in ROWS}))
def test_an_option_that_the_platform_does_not_have(name: str) -> None:
    """P3: an error that names it, or none by choice, with all others in force."""
    rows = [row for row in ROWS if row.name == name and row.ipv6 is not True and not row.beside]
    if not rows:  # For IPv6 alone.
        rows = [row for row in ROWS if row.name == name]
    kind = next(each for each in Kind if each in rows[0].kinds)
    ipv6 = rows[0].ipv6 is True
    field, _, time = name.partition(".")
    value: Any = KeepAlive(**{time: 5}) if time else getattr(GIVEN, field)
    options = SocketOptions(**{field: value})
    poor = platform(*rows[0].numbers)
    with pytest.raises(UnsupportedOptionError, match="this system has no ") as caught:
        plan(options, kind, ipv6=ipv6, lookup=poor)
    assert caught.value.option == name
    assert isinstance(caught.value, OSError)
    quiet = attrs.evolve(options, unsupported="ignore")
    ignored = plan(quiet, kind, ipv6=ipv6, lookup=poor)
    rich = plan(options, kind, ipv6=ipv6)
    assert ignored == {at: value for at, value in rich.items() if at in ignored}
    assert (name, number(rows[0].numbers[0])) in rich.keys() - ignored.keys()


@pytest.mark.parametrize("kind", Kind)
def test_an_option_that_the_socket_does_not_have(kind: Kind) -> None:
    """P3: it is an error that says what the option is for, or ignored by choice."""
    for name, value in attrs.asdict(GIVEN, recurse=False).items():
        rows = [row for row in ROWS if row.name == name]
        if not rows or kind in rows[0].kinds:
            continue
        with pytest.raises(UnsupportedOptionError, match=f"{name}: it is for .*{kind.value}"):
            plan(SocketOptions(**{name: value}), kind)
        assert plan(SocketOptions(**{name: value}, unsupported="ignore"), kind) == plan(None, kind)


def test_defaults_give_way() -> None:
    """P3: to what is said, and silently to a platform that does not have them."""
    assert plan(None)["no_delay", number("TCP_NODELAY")] == 1
    assert plan(SocketOptions(no_delay=False))["no_delay", number("TCP_NODELAY")] == 0
    assert plan(None, lookup=platform(*ALL)) == {}
    for kind in DEFAULTS:
        settings = plan_settings(None, kind, ipv6=True, lookup=platform())
        assert settings
        assert all(each.said is None for each in settings)


def test_ipv6_has_fields_of_its_own() -> None:
    """P3: a socket of IPv6 that carries IPv4 too has both set."""
    options = SocketOptions(dscp=46, hop_limit=9)
    four, six = plan(options), plan(options, ipv6=True)
    assert four["dscp", number("IP_TOS")] == 46 << 2
    assert ("dscp", number("IPV6_TCLASS")) not in four
    assert six["dscp", number("IP_TOS")] == six["dscp", number("IPV6_TCLASS")] == 46 << 2
    assert six["hop_limit", number("IPV6_UNICAST_HOPS")] == six["hop_limit", number("IP_TTL")] == 9
    settings = plan_settings(options, Kind.UDP, ipv6=True, lookup=platform())
    beside = [each.name for each in settings if each.said is None]
    assert beside == ["dscp", "hop_limit"]


def test_ipv6_only_is_no_matter_of_ipv4() -> None:
    """P3: a host has addresses of both families, and one set of options."""
    listener = Kind.TCP_LISTENER
    assert "ipv6_only" not in dict(plan(SocketOptions(ipv6_only=False), listener))
    assert plan(SocketOptions(ipv6_only=False), listener, ipv6=True)[
        "ipv6_only", number("IPV6_V6ONLY")
    ] == (0)


def test_macos_calls_it_otherwise() -> None:
    """P3: the first of the names that are there is taken."""
    options = SocketOptions(keep_alive=KeepAlive(idle=60))
    assert plan(options)["keep_alive.idle", number("TCP_KEEPIDLE")] == 60
    macos = platform("TCP_KEEPIDLE")
    assert plan(options, lookup=macos)["keep_alive.idle", number("TCP_KEEPALIVE")] == 60


def test_windows_keeps_the_port_to_itself() -> None:
    """P3: there, an address that is not reused has to be asked for alone."""
    options = SocketOptions(reuse_address=False)
    linux = platform("SO_EXCLUSIVEADDRUSE")
    listener = Kind.TCP_LISTENER
    assert plan(options, listener)["reuse_address", number("SO_EXCLUSIVEADDRUSE")] == 1
    assert ("reuse_address", number("SO_REUSEADDR")) in plan(options, listener, lookup=linux)


def test_keep_alive_in_three_words() -> None:
    """P3: off, on, and on with times; times that are not said are not set."""
    flag = ("keep_alive", number("SO_KEEPALIVE"))
    off, on = plan(SocketOptions(keep_alive=False)), plan(SocketOptions(keep_alive=True))
    assert (off[flag], on[flag]) == (0, 1)
    assert off.keys() == on.keys() == plan(None).keys() | {flag}
    timed = plan(SocketOptions(keep_alive=KeepAlive(count=4)))
    assert timed == on | {("keep_alive.count", number("TCP_KEEPCNT")): 4}


def test_times_are_rounded_up() -> None:
    """P3: a timeout of less than a millisecond's fraction more is not one of less."""
    place = ("user_timeout", number("TCP_USER_TIMEOUT"))
    assert plan(SocketOptions(user_timeout=1.0001))[place] == 1001


def test_stages() -> None:
    """P3: what counts before binding is not left for later."""
    settings = plan_settings(GIVEN_TO_LISTENER, Kind.TCP_LISTENER, ipv6=True, lookup=platform())
    stages: dict[Stage, set[str]] = {stage: set() for stage in Stage}
    for each in settings:
        stages[each.stage].add(each.name)
    assert stages[Stage.BIND] == {"reuse_address", "reuse_port", "ipv6_only"}
    assert stages[Stage.LISTEN] == {"fast_open"}


GIVEN_TO_LISTENER = attrs.evolve(GIVEN, broadcast=None)


def test_extra_is_set_as_it_is() -> None:
    """P3: options that have no name here."""
    settings = plan_settings(
        SocketOptions(extra=((1, 12, 3), (0, 15, b"\1\0\0\0"))),
        Kind.UNIX_LISTENER,
        ipv6=False,
        lookup=platform(),
    )
    assert settings == [
        Setting("extra", 1, 12, 3, Stage.OPEN, (1, 12, 3)),
        Setting("extra", 0, 15, b"\1\0\0\0", Stage.OPEN, (0, 15, b"\1\0\0\0")),
    ]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"reuse_port": 1}, TypeError),
        ({"keep_alive": 60}, TypeError),
        ({"linger": -1}, ValueError),
        ({"linger": 0.5}, TypeError),
        ({"linger": True}, TypeError),
        ({"receive_buffer_size": 0}, ValueError),
        ({"send_buffer_size": 2**31}, ValueError),
        ({"user_timeout": 0}, ValueError),
        ({"user_timeout": "1"}, TypeError),
        ({"user_timeout": float("inf")}, ValueError),
        ({"user_timeout": float("nan")}, ValueError),
        ({"congestion_control": ""}, ValueError),
        ({"congestion_control": b"reno"}, TypeError),
        ({"congestion_control": "a" * 16}, ValueError),
        ({"bind_to_device": "a" * 16}, ValueError),
        ({"bind_to_device": "a\0"}, ValueError),
        ({"dscp": 64}, ValueError),
        ({"hop_limit": 0}, ValueError),
        ({"hop_limit": 256}, ValueError),
        ({"linger": 32768}, ValueError),
        ({"mark": 2**32}, ValueError),
        ({"extra": [(1, 2, 3)]}, TypeError),
        ({"extra": ((1, 2),)}, TypeError),
        ({"extra": ((1, 2, "3"),)}, TypeError),
        ({"extra": ((1, 2, 2**31),)}, ValueError),
        ({"unsupported": "warn"}, ValueError),
    ],
)
def test_values_that_no_system_takes(values: dict[str, Any], error: type[Exception]) -> None:
    """P3: they are told when they are written down, by name."""
    with pytest.raises(error, match=next(iter(values))):
        SocketOptions(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"linger": 32767},
        {"receive_buffer_size": 1},
        {"send_buffer_size": 2**31 - 1},
        {"unsent_low_water": 1},
        {"user_timeout": 0.001},
        {"user_timeout": (2**31 - 1) / 1000},
        {"defer_accept": 0, "fast_open": 0},
        {"congestion_control": "a" * 15, "bind_to_device": "a" * 15},
        {"dscp": 0, "hop_limit": 1, "mark": 0},
        {"dscp": 63, "hop_limit": 255, "mark": 2**32 - 1},
        {"keep_alive": KeepAlive(idle=1, interval=1, count=1)},
        {"keep_alive": KeepAlive(idle=32767, interval=32767, count=127)},
        {"extra": ((0, 0, -(2**31) + 1), (0, 0, 2**31 - 1))},
    ],
)
def test_values_that_a_system_may_take(values: dict[str, Any]) -> None:
    """P3: the bounds themselves are within, and fit into what a kernel is given."""
    options = SocketOptions(**values, unsupported="ignore")
    for kind in Kind:
        for setting in plan_settings(options, kind, ipv6=False, lookup=platform()):
            assert isinstance(setting.value, bytes) or -(2**31) < setting.value < 2**31


@pytest.mark.parametrize("values", [{"idle": 0}, {"interval": 32768}, {"count": 128}])
def test_keep_alive_times_that_no_system_takes(values: dict[str, int]) -> None:
    """P3: likewise."""
    with pytest.raises(ValueError, match=next(iter(values))):
        KeepAlive(**values)


@pytest.mark.parametrize(
    "error",
    [SocketOptionError(1, "mark", "1 is refused"), UnsupportedOptionError("mark", "none here")],
)
def test_errors_travel(error: SocketOptionError) -> None:
    """P3: between processes, say."""
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.errno) == (type(error), str(error), error.errno)
    assert (copy.option, copy.reason) == ("mark", error.reason)
