"""Worker processes: any server in several processes that share its port.

::

    async def serve(worker: Worker) -> None:              # in each process
        await worker.serve(serve_listeners, echo, LineCodec(), worker.listeners)


    async def main() -> None:                             # in the parent
        listeners = await open_tcp_listeners(7000)
        await run_workers(serve, listeners=listeners, workers=4)


    if __name__ == "__main__":                            # the workers import this file too
        trio.run(main)

The parent binds, starts processes, and looks after them: it replaces those that end, by and by if
they go on ending, rolls them without refusing a connection, drains them, and reads what they count.
It never touches a connection.

``_run`` has the verb and ``_workers`` what it reports, the parent's control over all; ``_slot``
keeps one worker in its place and ``_backoff`` says when the next one comes; ``_process`` is one
process as its parent sees it, ``_spawn`` starts it and sees it end. ``_child`` runs in the worker,
``_worker`` is what its target gets, and ``_sharing`` accepts beside the others. ``_control``
carries what parent and worker say to each other, and ``_statistics`` what they count.
"""

from ._errors import WorkerStartError
from ._limits import WorkerLimits
from ._run import run_workers
from ._statistics import WorkersDrainReport, WorkersStatistics, WorkerState, WorkerStatistics
from ._worker import Worker
from ._workers import Workers

__all__ = [
    "Worker",
    "WorkerLimits",
    "WorkerStartError",
    "WorkerState",
    "WorkerStatistics",
    "Workers",
    "WorkersDrainReport",
    "WorkersStatistics",
    "run_workers",
]

# The private files are where things are written; this is where they are found.
for _name in __all__:
    globals()[_name].__module__ = __name__
