"""What a file is called to a client, by its name."""

from __future__ import annotations

import mimetypes
from functools import lru_cache

# The same on every machine: what the system has in its own tables is left out.
_TYPES = mimetypes.MimeTypes()
for _extension, _type in (
    (".avif", "image/avif"),
    (".js", "text/javascript"),
    (".map", "application/json"),
    (".md", "text/markdown"),
    (".mjs", "text/javascript"),
    (".toml", "application/toml"),
    (".ttf", "font/ttf"),
    (".wasm", "application/wasm"),
    (".webmanifest", "application/manifest+json"),
    (".webp", "image/webp"),
    (".woff", "font/woff"),
    (".woff2", "font/woff2"),
    (".yaml", "application/yaml"),
    (".yml", "application/yaml"),
):
    _TYPES.add_type(_type, _extension)

# A compressed file is sent as what it is: a client that unpacked it would not get the file.
_COMPRESSED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
    "br": "application/x-brotli",
}
_UNKNOWN = "application/octet-stream"


@lru_cache(maxsize=1024)
def guess_content_type(name: str) -> str:
    """Return the media type of a file by its name; text is taken for UTF-8."""
    # With a folder before it, a name that begins as a URL of the kind "data:" is none.
    kind, coding = _TYPES.guess_type(f"/{name}", strict=True)
    if coding is not None:
        return _COMPRESSED.get(coding, _UNKNOWN)
    if kind is None:
        return _UNKNOWN
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
