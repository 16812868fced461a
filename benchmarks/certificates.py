"""Certificates for the benchmarks over TLS."""

from __future__ import annotations

from pathlib import Path

import trustme


def issue(folder: Path) -> None:
    """Write ``authority.pem`` and ``server.pem``, the latter with its key."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        folder / "server.pem"
    )
