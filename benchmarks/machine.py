"""What the benchmarks ask of the machine: cores, processor time, memory, and what it is."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

LIBRARIES = ("snowtrio", "trio", "anyio", "uvloop", "twisted", "redis", "hiredis")
HTTP_LIBRARIES = ("uvicorn", "httptools", "aiohttp", "hypercorn", "httpx")
WEBSOCKET_LIBRARIES = ("websockets", "trio-websocket", "picows", "aiofastnet", "bitarray")


def cores() -> tuple[int, int]:
    """Return the core of what is measured and that of its load; the same if there is but one."""
    if sys.platform == "linux":
        ours = sorted(os.sched_getaffinity(0))
        return ours[0], ours[-1]
    return 0, 0


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Give the processes that are started in the block one core, where the system can do that."""
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """Return the processor time that another process has used, all its threads together."""
    if sys.platform == "linux":
        threads = Path(f"/proc/{pid}/task").iterdir()
        nanoseconds = [int((each / "schedstat").read_text().split()[0]) for each in threads]
        return sum(nanoseconds) / 1e9
    import psutil

    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of another process."""
    if sys.platform == "linux":
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")
    import psutil

    return int(psutil.Process(pid).memory_info().rss)


def allow_many_descriptors() -> None:
    """Raise this process's limit on open descriptors, and its children's, as far as it goes."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def description() -> dict[str, str]:
    """Return what the figures depend on: processor, system, Python and libraries."""
    about = {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for library in (*LIBRARIES, *HTTP_LIBRARIES, *WEBSOCKET_LIBRARIES):
        with contextlib.suppress(metadata.PackageNotFoundError):
            about[library] = metadata.version(library)
    return about


def processor() -> str:
    """Return the processor's name, as far as the system knows it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
