"""Twisted's ``LineReceiver``, on the reactor that Twisted chooses."""

from __future__ import annotations

import ssl
from typing import Any

from peers.ready import ready
from twisted.internet import reactor as any_reactor
from twisted.internet.protocol import ServerFactory
from twisted.protocols.basic import LineReceiver


class EchoLines(LineReceiver):
    delimiter = b"\n"

    def lineReceived(self, line: bytes) -> None:  # noqa: N802 - Twisted's name
        self.sendLine(line)  # type: ignore[no-untyped-call]


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve lines until killed."""
    # Twisted's modules and interfaces do not say enough about their types.
    reactor: Any = any_reactor
    port = reactor.listenTCP(0, ServerFactory.forProtocol(EchoLines), interface="127.0.0.1")
    ready(port.getHost().port)
    reactor.run()
