"""Fuzz the frames of WebSockets, guided by what runs of the decoder: ``nox -s fuzz``.

    python tests/fuzz/fuzz_websocket.py --seconds 60

Bytes become messages, and what a listener is told. Nothing but a close or a violation may end it,
the same in whatever pieces the bytes come, and whether messages are given whole or piece by piece.
What fails is written to ``crash-...`` in the directory of the run; give that file as an argument to
run it alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed: it has no wheel for every Python")

# Behind everything else, so that snowtrio is the one that is installed.
sys.path.append(str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["snowtrio.websocket._wire"]):
    from snowtrio import Side
    from snowtrio.websocket import Deflate, WebSocketLimits
    from tests.fuzz.http_reading import cut
    from tests.sansio.websocket import cases
    from tests.sansio.websocket.reading import Reading, read

LARGEST = 2000
LIMITS = WebSocketLimits(max_message_size=500)
DEFLATE = Deflate(peer_window_bits=9)
ALLOWED = ("WebSocketProtocolError", "WebSocketTooLargeError", "WebSocketClosedError")


def check(data: bytes) -> None:
    """Take one input: which side, whether compressed, how it is cut, then what comes."""
    if len(data) < 4:
        return
    kind, *sizes = data[:3]
    side = Side.SERVER if kind & 1 else Side.CLIENT
    deflate = DEFLATE if kind & 2 else None
    wire = data[3:]
    whole = read([wire], side, LIMITS, deflate)
    assert whole.error is None or whole.error.startswith(ALLOWED), whole
    ended = [call for call in whole.calls if call[0] in ("close", "violation")]
    assert len(ended) == (whole.error is not None), whole
    for message in whole.messages:
        assert not isinstance(message, str) or message.encode() is not None
    for pieces in (cut(wire, [1]), cut(wire, [size or 1 for size in sizes])):
        other = read(pieces, side, LIMITS, deflate)
        assert other == whole, (other, whole)
    compare_pieces(whole, read(cut(wire, [sizes[0] or 1]), side, LIMITS, deflate, pieces=True))


def compare_pieces(whole: Reading, reading: Reading) -> None:
    """Compare the messages with those that were given piece by piece, which have no bound."""
    messages: list[Any] = []
    parts: list[Any] = []
    for piece in reading.messages:
        parts.append(piece.data)  # type: ignore[union-attr]
        if piece.last:  # type: ignore[union-attr]
            messages.append(type(parts[0])().join(parts))
            parts = []
    assert messages[: len(whole.messages)] == whole.messages, (reading, whole)
    if ("violation", 1009) not in whole.calls:
        assert (reading.calls, reading.error) == (whole.calls, whole.error), (reading, whole)


def write_seeds(folder: Path) -> None:
    """Write the tables of the tests as inputs to begin with."""
    number = 0
    for case in cases.ALL:
        for kind, side in ((1, Side.SERVER), (0, Side.CLIENT), (3, Side.SERVER)):
            wire = case.wire(side)
            if len(wire) < LARGEST:
                (folder / f"seed-{number}").write_bytes(bytes([kind, 5, 17]) + wire)
                number += 1


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
        seeds = Path(name) / "seeds"
        seeds.mkdir()
        write_seeds(seeds)
        settings = [f"-max_total_time={options.seconds}", f"-max_len={LARGEST}"]
        settings += ["-len_control=0", "-timeout=10"]
        atheris.Setup([sys.argv[0], *settings, str(seeds)], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
