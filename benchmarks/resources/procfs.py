"""Memory of a process as Linux tells it, proc(5). This file imports the standard library alone."""

from pathlib import Path

PEAK, RESIDENT = "VmHWM", "VmRSS"


def memory_mb(figure: str, process: int | str = "self") -> float | None:
    """Return `PEAK` or `RESIDENT` of a process in MiB; None where the system does not tell it."""
    status = Path(f"/proc/{process}/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith(f"{figure}:"):
            return int(line.split()[1]) / 1024
    return None
