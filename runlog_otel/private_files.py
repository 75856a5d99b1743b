"""Files of ours hold run logs, parameters, messages of errors: nobody but their owner may read them."""

import os
from contextlib import suppress
from pathlib import Path


def make_private(path: Path) -> None:
    """Make an empty file with mode 0600, and its folder with mode 0700, where there is none yet.

    What is there keeps its mode, and is not opened: closing a database's file would give up its locks.

    Raises:
        OSError: the file or its folder cannot be made.
    """
    path = path.resolve()  # what a link points to need not be there
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
