"""What the tests of a protocol need: memory connections, codec conformance, faulty streams."""

from __future__ import annotations

from ._codecs import check_codec, decode_chunks
from ._faulty import FaultyStream
from ._memory import MemoryListener, open_memory_pair

__all__ = [
    "FaultyStream",
    "MemoryListener",
    "check_codec",
    "decode_chunks",
    "open_memory_pair",
]

# The private files are where they are written; this is where they are found.
for _name in __all__:
    globals()[_name].__module__ = __name__
