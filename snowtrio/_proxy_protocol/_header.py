"""What a header says, whichever version it is in."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

ProxyAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | str
"""An address as sockets give it: see ``Connection.peer_address``."""


@attrs.frozen(kw_only=True)
class ProxyTLS:
    """What a proxy says of the TLS that a client spoke with it.

    Parameters:
        used: whether the client spoke TLS.
        certificate_now: whether it showed a certificate on this connection.
        certificate_before: whether it showed one in the TLS session that this connection goes on
            with.
        verify: 0 where the proxy found the certificate right, and what was wrong with it otherwise;
            without a certificate it means nothing.
        version: of TLS, such as ``"TLSv1.3"``.
        common_name: of the certificate's subject.
        cipher: the name of the cipher.
        signature_algorithm: of the proxy's own certificate.
        key_algorithm: of the proxy's own certificate.
        others: what else it says, as pairs of a type and a value.
    """

    used: bool = True
    certificate_now: bool = False
    certificate_before: bool = False
    verify: int = 0
    version: str | None = None
    common_name: str | None = None
    cipher: str | None = None
    signature_algorithm: str | None = None
    key_algorithm: str | None = None
    others: tuple[tuple[int, bytes], ...] = ()

    @property
    def verified(self) -> bool:
        """Whether the client has shown a certificate and the proxy found it right."""
        return (self.certificate_now or self.certificate_before) and self.verify == 0


@attrs.frozen(kw_only=True)
class ProxyHeader:
    """What a proxy says, before anything else, of the client that it speaks for.

    Version 1 has the addresses alone.

    Parameters:
        version: 1, a line of text, or 2, binary.
        local: the proxy speaks for itself, as it does in its health checks; version 2 only. Nothing
            else of such a header counts, or is kept.
        source: the client's address; None where the proxy does not know it, or cannot say it.
        destination: what the client had connected to; None as for `source`.
        datagram: whether the client speaks with the proxy in datagrams, as in QUIC.
        alpn: the protocol that the client and the proxy agreed on, as ALPN has it.
        authority: the host name that the client asked for: in TLS its "server name".
        unique_id: what the proxy calls the connection, 128 bytes at most.
        tls: of TLS between the client and the proxy; None where the proxy says nothing of it.
        network_namespace: where the proxy took the connection.
        others: what else it says, as pairs of a type (such as 0xEA) and a value, in order.
        checksum: whether the header has a checksum (CRC-32C), which was right.
    """

    version: Literal[1, 2] = attrs.field(default=2, validator=attrs.validators.in_((1, 2)))
    local: bool = False
    source: ProxyAddress | None = None
    destination: ProxyAddress | None = None
    datagram: bool = False
    alpn: bytes | None = None
    authority: str | None = None
    unique_id: bytes | None = None
    tls: ProxyTLS | None = None
    network_namespace: str | None = None
    others: tuple[tuple[int, bytes], ...] = ()
    checksum: bool = False


@attrs.frozen
class ProxyInfo:
    """The proxy that brought a connection.

    Parameters:
        header: what it said of its client.
        peer_address: the proxy's own address.
        local_address: our address that it connected to.
    """

    header: ProxyHeader
    peer_address: ProxyAddress | None
    local_address: ProxyAddress | None
