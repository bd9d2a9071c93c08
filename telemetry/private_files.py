"""Files that only the account of this program may read: keys, and rows that were refused."""

import os
import secrets
from pathlib import Path
from typing import Final

from workspace.errors import StateError
from workspace.files import fsync_folder

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600


def private_folder(path: Path) -> Path:
    """Create a folder nobody else may look into, and return it.

    Raises:
        StateError: When it can't be made.
    """
    try:
        path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        path.chmod(FOLDER_MODE)
    except OSError as error:
        raise _refused(path, error) from error
    return path


def write_private(path: Path, content: bytes) -> None:
    """Put content at a path, wholly or not at all, readable by its owner alone from the first byte on.

    Raises:
        StateError: When the file system refuses; an old file is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_folder(path.parent)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> StateError:
    return StateError(f"{path} can't be written: {error.strerror or error}", hint="check its folder and its space")
