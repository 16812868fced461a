"""A service of systemd: the sockets that it inherits, and what it tells its manager.

::

    from snowtrio import open_tcp_listeners, run_service, serve_listeners, systemd

    async def main() -> None:
        listeners = systemd.inherited_listeners() or await open_tcp_listeners(7000)
        serve = partial(serve_listeners, echo, LineCodec(), listeners)
        async with systemd.open_notifier() as notifier:
            await run_service(serve, ready=notifier.ready, stopping=notifier.stopping)

Everything goes by the environment, as systemd documents it for implementations other than its own
library: outside of systemd there are no sockets to inherit and nobody to notify, and the same
program runs as any other. Nothing of systemd's needs to be installed.

``_inherited`` has the sockets and ``_notifier`` what is told; ``_environment`` reads what systemd
has put there, and ``_notification`` writes what it understands.
"""

from ._inherited import InheritedSocket, inherited_listeners, inherited_sockets
from ._notifier import Notifier, open_notifier

__all__ = [
    "InheritedSocket",
    "Notifier",
    "inherited_listeners",
    "inherited_sockets",
    "open_notifier",
]

# What is exported here comes from here, as far as its users need to know.
for _name in __all__:
    globals()[_name].__module__ = __name__
