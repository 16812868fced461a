"""ASGI 3 applications on snowtrio's HTTP server: Starlette, FastAPI, Quart-Trio, your own.

::

    from snowtrio.asgi import serve_asgi

    trio.run(serve_asgi, app, 8000)

The application gets requests and WebSockets, with the server's limits, its backpressure and its
drain. Needs
``pip install snowtrio[http]``.

``_serve`` has the verbs. A ``_session`` takes the requests of a connection and makes a ``_call`` of
the application for each, with a ``_scope`` and with the ``receive`` and ``send`` of an
``_exchange``, or of a ``_websocket`` on the server's ``_terms``; ``_runner`` is what all sessions
share. ``_messages`` knows what may be sent; ``_lifespan`` tells the application when the server
begins and ends.
"""

from ._errors import ClientDisconnectedError, LifespanError
from ._serve import serve_asgi, serve_asgi_listeners
from ._server import ASGIServer
from ._types import ASGIApplication, LifespanMode

__all__ = [
    "ASGIApplication",
    "ASGIServer",
    "ClientDisconnectedError",
    "LifespanError",
    "LifespanMode",
    "serve_asgi",
    "serve_asgi_listeners",
]

# The private files are where they are written; this is where they are found.
for _name in __all__:
    if getattr(globals()[_name], "__module__", "").startswith(f"{__name__}._"):
        globals()[_name].__module__ = __name__
