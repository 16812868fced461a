"""One zone, and what it says to a question (RFC 1034, section 4.3.2; RFC 2308; RFC 4592)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import attrs
import dns.name
import dns.rcode
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone

# As many aliases in a row are followed. Zones have one or two; a loop of them has no end.
MAX_ALIASES = 8

WILDCARD = dns.name.Name([b"*"])

# Records that name a host whose addresses the client will want next.
NAMING_HOSTS = {
    dns.rdatatype.MX: "exchange",
    dns.rdatatype.NS: "target",
    dns.rdatatype.SRV: "target",
}


@attrs.define
class Answer:
    """The parts of a response.

    Parameters:
        rcode: how it went.
        authoritative: whether it is this zone that says so, rather than one below it.
        sections: records of the answer, of the authority, and what else may help.
    """

    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    authoritative: bool = True
    answer: list[dns.rrset.RRset] = attrs.field(factory=list[dns.rrset.RRset])
    authority: list[dns.rrset.RRset] = attrs.field(factory=list[dns.rrset.RRset])
    additional: list[dns.rrset.RRset] = attrs.field(factory=list[dns.rrset.RRset])


class Zone:
    """The records of one zone, which do not change.

    Parameters:
        records: with absolute names.
    """

    def __init__(self, records: dns.zone.Zone) -> None:
        assert records.origin is not None
        self.origin = records.origin
        self._records = records
        # A name that only has names below it exists as well (RFC 4592, section 2.2.2).
        self._names = {
            parent for name in records.nodes for parent in parents_of(name, records.origin)
        }
        self._cuts = {
            name
            for name in records.nodes
            if name != records.origin and records.get_rdataset(name, dns.rdatatype.NS) is not None
        }

    def answer(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Answer:
        """Return what the zone says to a question about a name that is in it."""
        found = Answer()
        seen = {name}
        while len(seen) <= MAX_ALIASES:
            alias = self._add(name, kind, found)
            if alias is None or alias in seen or not alias.is_subdomain(self.origin):
                break
            seen.add(alias)
            name = alias
        self._add_addresses(found)
        return found

    def _add(
        self, name: dns.name.Name, kind: dns.rdatatype.RdataType, found: Answer
    ) -> dns.name.Name | None:
        """Add what one name has; return the name that it is an alias of, None if it is none."""
        cut = self._find_cut(name)
        # What secures a zone below is the one thing there that its parent says (RFC 4035, 3.1.4.1).
        if cut is not None and (name, kind) != (cut, dns.rdatatype.DS):
            # Only where no alias of ours has led there is it another's to say.
            found.authoritative = bool(found.answer)
            found.authority = [self._rrset(cut, cut, dns.rdatatype.NS)]
            return None
        source = self._find_source(name)
        if source is None:
            found.rcode = dns.rcode.NXDOMAIN
            found.authority = [self._make_soa()]
            return None
        aliases = self._records.get_rdataset(source, dns.rdatatype.CNAME)
        if aliases is not None and kind not in (dns.rdatatype.CNAME, dns.rdatatype.ANY):
            found.answer.append(self._rrset(name, source, dns.rdatatype.CNAME))
            target: dns.name.Name = next(values_in(aliases, "target"))
            return target
        # None where the name only has others below it.
        node = cast("Iterable[dns.rdataset.Rdataset]", self._records.nodes.get(source, ()))
        records = [
            make_rrset(name, each) for each in node if kind in (each.rdtype, dns.rdatatype.ANY)
        ]
        found.answer += records
        if not records:
            found.authority = [self._make_soa()]
        return None

    def _find_cut(self, name: dns.name.Name) -> dns.name.Name | None:
        """Return where the zone ends above a name, None if the name is its own."""
        for parent in parents_of(name, self.origin):
            if parent in self._cuts:
                return parent
        return None

    def _find_source(self, name: dns.name.Name) -> dns.name.Name | None:
        """Return the name whose records are a name's: itself, or a wildcard."""
        if name in self._names:
            return name
        for parent in parents_of(name, self.origin)[1:]:
            if parent in self._names:  # the closest encloser, which alone decides
                wildcard = WILDCARD.concatenate(parent)
                return wildcard if wildcard in self._records.nodes else None
        return None

    def _rrset(
        self, name: dns.name.Name, source: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> dns.rrset.RRset:
        return make_rrset(name, self._records.find_rdataset(source, kind))

    def _make_soa(self) -> dns.rrset.RRset:
        """Return the record that says how long to remember that there is nothing."""
        rrset = self._rrset(self.origin, self.origin, dns.rdatatype.SOA)
        rrset.ttl = min(rrset.ttl, *values_in(rrset, "minimum"))
        return rrset

    def _add_addresses(self, found: Answer) -> None:
        """Add the addresses that this zone has of the hosts that the records name."""
        hosts = {
            host: None
            for rrset in (*found.answer, *found.authority)
            if rrset.rdtype in NAMING_HOSTS
            for host in values_in(rrset, NAMING_HOSTS[rrset.rdtype])
        }
        for host in hosts:
            for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
                if host.is_subdomain(self.origin) and self._records.get_rdataset(host, kind):
                    rrset = self._rrset(host, host, kind)
                    if rrset not in found.answer:
                        found.additional.append(rrset)


def make_rrset(name: dns.name.Name, records: dns.rdataset.Rdataset) -> dns.rrset.RRset:
    """Return records as those of a name."""
    return dns.rrset.from_rdata_list(name, records.ttl, list(records))


def values_in(records: dns.rdataset.Rdataset, field: str) -> Iterator[Any]:
    """Give what each of some records has in a field."""
    for record in cast("Any", records):
        yield getattr(record, field)


def parents_of(name: dns.name.Name, origin: dns.name.Name) -> list[dns.name.Name]:
    """Return a name of a zone and those above it, down to the zone's own."""
    parents = [name]
    while parents[-1] != origin:
        parents.append(parents[-1].parent())
    return parents


def load_zone(path: Path, origin: str | None) -> Zone:
    """Read a zone's master file.

    Raises:
        OSError: it cannot be read.
        dns.exception.DNSException: it is none.
    """
    return Zone(cast("Any", dns.zone).from_file(str(path), origin=origin, relativize=False))
