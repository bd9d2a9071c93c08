"""Files that are whole or absent: every write is a temporary name, fsync, one rename, fsync of the folder.

A writer holds an flock on its temporary file or folder until after the rename. The kernel drops the lock when the
process dies, however it dies, so a temporary that can be locked belongs to nobody: that is how `sweep_temporaries`
tells leftovers from work in progress, without trusting process numbers.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from workspace.errors import IntegrityError, InvalidValueError, StateError

LOCK_FILE: Final = ".lock"
_TEMPORARY: Final = ".tmp"
_POINTER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_DISK_IS_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_CHUNK_BYTES: Final = 1 << 20


def write_bytes(path: Path, content: bytes) -> None:
    """Put content at a path, wholly or not at all.

    Args:
        path: The file; its folder is created when missing.
        content: What it shall hold.

    Raises:
        StateError: When the file system refuses (no space, no permission); the old file is then untouched.
    """
    with _refusals_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, descriptor = _new_temporary_file(path)
        try:
            _write_all(descriptor, content)
            os.fsync(descriptor)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        fsync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Put text at a path as UTF-8, wholly or not at all; raises as `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Put a value at a path as readable JSON with sorted keys, wholly or not at all.

    Args:
        path: The file.
        value: Anything JSON can hold; NaN and infinities can't be.

    Raises:
        InvalidValueError: When JSON can't hold the value.
        StateError: As `write_bytes`.
    """
    try:
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        content = f"{text}\n".encode()
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"the content of {path.name} can't be JSON: {error}") from error
    write_bytes(path, content)


@contextmanager
def publish_folder(final: Path) -> Iterator[Path]:
    """Fill a folder that appears under its final name at once and complete, or never.

    Args:
        final: The name it shall have; must not exist, since published folders are immutable.

    Yields:
        A temporary folder beside it, to be filled.

    Raises:
        StateError: When the final name is taken, or the file system refuses.
    """
    if final.exists():
        raise _already_published(final)
    with _refusals_named(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary, descriptor = _new_temporary_folder(final)
    try:
        try:
            yield temporary
        except OSError as error:
            if error.errno in _DISK_IS_FULL:
                raise _refused(final, error) from error
            raise
        with _refusals_named(final):
            _fsync_tree(temporary)
            try:
                temporary.rename(final)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise _already_published(final) from error
                raise
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)
    with _refusals_named(final):
        fsync_folder(final.parent)


def sweep_temporaries(folder: Path) -> list[Path]:
    """Remove what killed writers left behind in a folder; what a living writer holds stays.

    Args:
        folder: Where to look; not its subfolders. It need not exist.

    Returns:
        What was removed.

    Raises:
        StateError: When the file system refuses.
    """
    if not folder.is_dir():
        return []
    with _refusals_named(folder):
        candidates = sorted(path for path in folder.iterdir() if _is_temporary(path))
        return [path for path in candidates if _remove_if_abandoned(path)]


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file in 64 hexadecimal digits.

    Raises:
        IntegrityError: When the file is missing or can't be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise IntegrityError(f"{path} can't be read: {error.strerror}") from error
    return digest.hexdigest()


def read_pointer(path: Path) -> str | None:
    """Return the name a pointer file holds, or None when there is no pointer.

    Raises:
        IntegrityError: When the file holds something else than one plain name.
    """
    try:
        value = path.read_bytes().decode("ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"the pointer {path} can't be read: {error}") from error
    if not _POINTER.fullmatch(value):
        raise IntegrityError(
            f"the pointer {path} holds {value[:80]!r}", "must be one plain name", "switch to a known version again"
        )
    return value


def write_pointer(path: Path, value: str) -> None:
    """Switch a pointer file to another name by one rename.

    Args:
        path: The pointer file.
        value: A plain name: letters, digits, ``.``, ``_`` and ``-``.

    Raises:
        InvalidValueError: When the name is not plain.
        StateError: As `write_bytes`.
    """
    if not _POINTER.fullmatch(value):
        raise InvalidValueError(f"pointer value == {value!r}", "must be letters, digits, '.', '_' and '-'")
    write_text(path, f"{value}\n")


@contextmanager
def file_lock(path: Path, *, blocking: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on a file, which is created when missing and never removed.

    Args:
        path: The lock file.
        blocking: Whether to wait for another holder.

    Raises:
        StateError: When another process (or thread) holds it and ``blocking`` is false, or it can't be opened.
    """
    with _refusals_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if blocking else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(
                f"{path.parent} is locked by another process", hint="wait until it has finished, then try again"
            ) from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def folder_lock(folder: Path, *, blocking: bool = True) -> Iterator[None]:
    """Hold the exclusive lock of a folder, by its file ``.lock``; arguments and errors as `file_lock`."""
    with file_lock(folder / LOCK_FILE, blocking=blocking):
        yield


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    Raises:
        OSError: When the folder can't be opened or synced.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_name(final: Path) -> Path:
    return final.with_name(f".{final.name}.{secrets.token_hex(8)}{_TEMPORARY}")


def _is_temporary(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(_TEMPORARY)


def _new_temporary_file(final: Path) -> tuple[Path, int]:
    while True:
        temporary = _temporary_name(final)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        if _claim(temporary, descriptor):
            return temporary, descriptor


def _new_temporary_folder(final: Path) -> tuple[Path, int]:
    while True:
        temporary = _temporary_name(final)
        temporary.mkdir()
        try:
            descriptor = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        if _claim(temporary, descriptor):
            return temporary, descriptor


def _claim(temporary: Path, descriptor: int) -> bool:
    """Lock a new temporary; false when a sweeper took it in the instant before."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    if _names(temporary, descriptor):
        return True
    os.close(descriptor)
    return False


def _names(path: Path, descriptor: int) -> bool:
    """Tell whether the path still leads to the open file."""
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_if_abandoned(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its writer may have renamed it and let go between the listing and the lock: then the name is gone.
        if not _names(path, descriptor):
            return False
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _fsync_tree(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            descriptor = os.open(Path(folder) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        fsync_folder(Path(folder))


@contextmanager
def _refusals_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> StateError:
    hint = "free some space" if error.errno in _DISK_IS_FULL else "check that the folder exists and is writable"
    return StateError(f"{path} can't be written: {error.strerror or error}", hint=hint)


def _already_published(final: Path) -> StateError:
    return StateError(f"{final} exists already", "and published folders never change", "use it, or remove it first")
