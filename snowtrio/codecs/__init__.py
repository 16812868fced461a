"""The codecs that come with snowtrio.

======================  ===========================================================
`LineCodec`             lines of bytes
`DelimiterCodec`        bytes up to any delimiter
`LengthPrefixCodec`     bytes behind a binary length
`NetstringCodec`        bytes behind a decimal length
`FixedSizeCodec`        bytes that all have one size
`RawCodec`              bytes as they come
`JSONLinesCodec`        JSON values, one a line
======================  ===========================================================

Each takes ``max_message_size``, in bytes. One of your own is a subclass of `snowtrio.Codec`.
"""

from __future__ import annotations

from ._delimiter import DelimiterCodec
from ._fixed import FixedSizeCodec
from ._json import JSONLinesCodec
from ._length import LengthPrefixCodec
from ._lines import LineCodec
from ._netstring import NetstringCodec
from ._raw import RawCodec

__all__ = [
    "DelimiterCodec",
    "FixedSizeCodec",
    "JSONLinesCodec",
    "LengthPrefixCodec",
    "LineCodec",
    "NetstringCodec",
    "RawCodec",
]

# The private files are where they are written; this is where they are found.
for _name in __all__:
    globals()[_name].__module__ = __name__
