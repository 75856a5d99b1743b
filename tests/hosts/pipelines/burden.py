"""Computes, holds memory and writes a file, as RUNNABLE_BURDEN says: seconds of CPU time, MiB, MiB."""

import os
import sys
import time

MIB = 2**20


def resident() -> int:
    """The memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 `pathlib` takes longer than the step
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def carry(name: str) -> int:
    """Do it, and return how much memory there was before."""
    seconds, held_mib, written_mib = (float(size) for size in os.environ["RUNNABLE_BURDEN"].split(","))
    before, end = resident(), time.process_time() + seconds
    held = b"x" * int(held_mib * MIB)
    with open(f"{name}.out", "wb") as file:  # noqa: PTH123
        file.write(memoryview(held)[: int(written_mib * MIB)])
    while time.process_time() < end:
        pass
    return before


if __name__ == "__main__":
    carry(sys.argv[1])
