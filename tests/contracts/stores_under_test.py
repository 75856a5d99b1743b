"""The stores that the contract suite runs against, made in an empty folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from extensions.run_log_store.chunked_fs import ChunkedFileSystemRunLogStore
from extensions.run_log_store.file_system import FileSystemRunLogstore

from runlog_otel.hosts.runnable.stores import MemoryRunLogStore, SqlRunLogStore

OURS: dict[str, Callable[[Path], Any]] = {
    "memory": lambda _: MemoryRunLogStore(),
    "sqlite": lambda folder: SqlRunLogStore(connection_string=f"sqlite:///{folder}/runs.db"),
    "sqlite-in-memory": lambda _: SqlRunLogStore(connection_string="sqlite:///:memory:"),
}
HOSTS: dict[str, Callable[[Path], Any]] = {
    "file-system": lambda folder: FileSystemRunLogstore(log_folder=str(folder)),
    "chunked-fs": lambda folder: ChunkedFileSystemRunLogStore(log_folder=str(folder)),
}
