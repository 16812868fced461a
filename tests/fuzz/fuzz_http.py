"""Fuzz the codecs of HTTP, guided by what runs of them: ``nox -s fuzz``.

    python tests/fuzz/fuzz_http.py --seconds 60

Bytes become requests or responses. Nothing but a refusal may come of them, and the same in whatever
pieces; and where h11 takes a message too, it must be the same one, with the same end. What fails is
written to ``crash-...`` in the directory of the run; give that file as an argument to run it alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed: it has no wheel for every Python")

# Behind everything else, so that snowtrio is the one that is installed.
sys.path.append(str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["snowtrio.http._wire", "h11"]):
    from tests.fuzz.http_agreement import check_requests, check_responses
    from tests.sansio import http_request_cases as requests
    from tests.sansio import http_response_cases as responses

METHODS = ("GET", "HEAD", "POST", "GET")
WORDS = [
    *("Host: a", "Content-Length: ", "Transfer-Encoding: ", "chunked", "Connection: ", "close"),
    *("keep-alive", "Upgrade: x", "upgrade", "Expect: 100-continue", "HTTP/1.1", "HTTP/1.0"),
    *("GET ", "POST ", "HEAD ", "CONNECT ", "OPTIONS * ", "200 OK", "204 ", "304 ", "101 ", "100 "),
    *("\\x0d\\x0a", "\\x0d\\x0a\\x0d\\x0a", "0\\x0d\\x0a\\x0d\\x0a", "http://a/", "RTSP/", "3;a=b"),
]
LARGEST = 4000


def check(data: bytes) -> None:
    """Take one input: what it is, how it is cut, then what comes."""
    if len(data) < 4:
        return
    kind, *sizes = data[:3]
    if kind & 1:
        check_requests(data[3:], sizes)
    else:
        # Two bits of the kind for each method.
        methods = [METHODS[kind >> shift & 3] for shift in (1, 3, 5)]
        check_responses(data[3:], sizes, methods)


def write_seeds(folder: Path) -> None:
    """Write the tables of the tests as inputs to begin with."""
    wires = [(b"\x01\x05\x11", case.wire) for case in requests.GOOD]
    wires += [(b"\x01\x05\x11", case.wire) for case in requests.BAD]
    wires += [(b"\x00\x05\x11", case.wire) for case in responses.GOOD]
    wires += [(b"\x02\x05\x11", case.wire) for case in responses.GOOD]
    wires += [(b"\x00\x05\x11", case.wire) for case in responses.BAD]
    for number, (prefix, wire) in enumerate(wires):
        if len(wire) < LARGEST:
            (folder / f"seed-{number}").write_bytes(prefix + wire)


def main() -> None:
    """Fuzz for a while, or run single inputs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("inputs", nargs="*", type=Path)
    options = parser.parse_args()
    for path in options.inputs:
        check(path.read_bytes())
    if options.inputs:
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "seeds").mkdir()
        write_seeds(folder / "seeds")
        words = folder / "words"
        words.write_text("".join(f'"{word}"\n' for word in WORDS))
        settings = [f"-max_total_time={options.seconds}", f"-dict={words}", f"-max_len={LARGEST}"]
        settings += ["-len_control=0", "-timeout=10"]
        atheris.Setup([sys.argv[0], *settings, str(folder / "seeds")], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
