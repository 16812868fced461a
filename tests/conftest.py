"""What all tests share: settings, a certificate authority, a count of open descriptors."""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import trustme

import snowtrio

NETWORK_TESTS = Path(__file__).parent / "network"
DESCRIPTORS = Path("/proc/self/fd")

# A slow machine is no bug. On CI the same inputs come every time: a red run can be repeated.
hypothesis.settings.register_profile("snowtrio", deadline=None)
hypothesis.settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "snowtrio")
# Where the same has been tried on another Python: nox asks for it.
hypothesis.settings.register_profile(
    "quick",
    hypothesis.settings.get_profile("ci" if os.environ.get("CI") else "snowtrio"),
    max_examples=25,
)

# A shell has what it starts in the background ignore Ctrl-C, and nohup has it ignore SIGHUP: so
# would every program that the tests start and send one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_report_header() -> str:
    return f"snowtrio: {Path(snowtrio.__file__).parent}"


def open_descriptors() -> dict[str, str]:
    """Return what each open descriptor of this process points to."""
    found: dict[str, str] = {}
    for descriptor in DESCRIPTORS.iterdir():
        # The listing's own descriptor is in the listing and gone by now.
        if descriptor.is_symlink():
            found[descriptor.name] = str(descriptor.readlink())
    return found


@pytest.fixture
def no_leaked_descriptors() -> Iterator[None]:
    """Fail the test if it leaves a descriptor open, or closes one that was not its own.

    Does nothing where the system does not list a process's descriptors under ``/proc``.
    """
    if not DESCRIPTORS.is_dir():
        yield
        return
    before = open_descriptors()
    yield
    after = open_descriptors()
    leaked = {number: target for number, target in after.items() if before.get(number) != target}
    assert not leaked, f"descriptors left open: {leaked}"
    closed = before.keys() - after.keys()
    assert not closed, f"descriptors closed that were not the test's: {closed}"


@pytest.fixture(autouse=True)
def network_tests_leak_nothing(request: pytest.FixtureRequest) -> None:
    """Count descriptors in every test that uses real sockets, asked for or not."""
    if request.path.is_relative_to(NETWORK_TESTS):
        request.getfixturevalue("no_leaked_descriptors")


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    """A certificate authority that `client_ssl_context` trusts."""
    return trustme.CA()


@pytest.fixture(scope="session")
def server_cert(ca: trustme.CA) -> trustme.LeafCert:
    """The server's certificate and key, for localhost by name and by both addresses."""
    return ca.issue_cert("localhost", "127.0.0.1", "::1")


@pytest.fixture
def server_ssl_context(server_cert: trustme.LeafCert) -> ssl.SSLContext:
    """A context for servers, the test's own to change."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_cert.configure_cert(context)
    return context


@pytest.fixture
def client_ssl_context(ca: trustme.CA) -> ssl.SSLContext:
    """A context for clients that trusts `ca` alone, the test's own to change."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(context)
    return context
