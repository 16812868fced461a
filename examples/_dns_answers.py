"""The bytes of a DNS query to those of its response (RFC 1035, RFC 6891)."""

from __future__ import annotations

import struct

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
from _dns_zone import Answer, Zone

# A response of this size fits into one packet nearly everywhere; in more it is often lost, and
# more is what an attacker with a forged address would like to have sent to its victim.
UDP_SIZE = 1232
PLAIN_UDP_SIZE = 512  # for clients that do not say what they take
TCP_SIZE = 65535

HEADER_SIZE = 12
IS_RESPONSE = 0x8000
OPCODE_AND_RD = 0x7900

# Whole zones go to nobody.
TRANSFERS = (dns.rdatatype.AXFR, dns.rdatatype.IXFR)


def respond(zone: Zone, wire: bytes, *, udp: bool) -> bytes | None:
    """Return the response to a query, None where there must be none."""
    if len(wire) < HEADER_SIZE:
        return None
    number, flags = struct.unpack_from("!HH", wire)
    if flags & IS_RESPONSE:
        return None  # Or two servers would talk to each other for ever.
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        flags = IS_RESPONSE | flags & OPCODE_AND_RD | dns.rcode.FORMERR
        return struct.pack("!HHHHHH", number, flags, 0, 0, 0, 0)
    # No padding, even where it is asked for: it would have an attacker's victim sent more.
    response = dns.message.make_response(query, our_payload=UDP_SIZE, pad=0)
    if query.ednsflags & dns.flags.DO:
        response.ednsflags |= dns.flags.DO  # RFC 3225, section 3
    if query.edns > 0:
        response.set_rcode(dns.rcode.BADVERS)
    else:
        fill(response, query, zone, udp=udp)
    # What does not fit is left out, and the TC bit tells the client to ask over TCP.
    return response.to_wire(max_size=size_for(query, udp=udp), prefer_truncation=True)


def fill(
    response: dns.message.Message, query: dns.message.Message, zone: Zone, *, udp: bool
) -> None:
    """Put the answer, or the reason for none, into a response."""
    if query.opcode() != dns.opcode.QUERY:
        response.set_rcode(dns.rcode.NOTIMP)
        return
    if len(query.question) != 1:
        response.set_rcode(dns.rcode.FORMERR)
        return
    (question,) = query.question
    name, kind = question.name, question.rdtype
    if (
        question.rdclass != dns.rdataclass.IN
        or not name.is_subdomain(zone.origin)
        or kind in TRANSFERS
    ):
        response.set_rcode(dns.rcode.REFUSED)
        return
    if kind == dns.rdatatype.ANY and udp:
        response.flags |= dns.flags.TC  # Everything goes only to who has shown its address.
        return
    put(zone.answer(name, kind), response)


def put(answer: Answer, response: dns.message.Message) -> None:
    """Put an answer into a response."""
    response.set_rcode(answer.rcode)
    if answer.authoritative:
        response.flags |= dns.flags.AA
    response.answer += answer.answer
    response.authority += answer.authority
    response.additional += answer.additional


def size_for(query: dns.message.Message, *, udp: bool) -> int:
    """Return how large the response may be."""
    if not udp:
        return TCP_SIZE
    if query.edns < 0:
        return PLAIN_UDP_SIZE
    return max(PLAIN_UDP_SIZE, min(query.payload, UDP_SIZE))
