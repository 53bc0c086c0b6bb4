"""Writes folders that are there whole or not at all: half a dataset would look like one."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dreamcart.core.errors import UserError, number_of


@contextlib.contextmanager
def making(folder: Path) -> Iterator[Path]:
    """Give an empty temporary folder, which takes the place of `folder` when the block ends well.

    It is beside it, under a new and hidden name, so that nothing of anybody is touched; where the
    block fails it is removed. Parents are made.

    Raises:
        UserError: `folder` is a file, or is not empty.
        OSError: what the system says where it cannot be written, with `folder` as its file.
    """
    check_free(folder)
    folder = folder.resolve()  # a link stays one
    part = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(
            tempfile.mkdtemp(prefix=f".{folder.name[:100]}.", suffix=".part", dir=folder.parent)
        )
        (part / "whole").mkdir()  # with the usual rights: mkdtemp's are for its owner alone
        yield part / "whole"
        if folder.exists():
            folder.rmdir()
        os.replace(part / "whole", folder)
    except OSError as problem:
        number = number_of(problem)
        ours = problem.filename is None or (part is not None and str(part) in str(problem.filename))
        if number is None or not ours:
            raise
        raise OSError(number, os.strerror(number), str(folder)) from None
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)


def check_free(folder: Path) -> None:
    """Raise UserError where `folder` is there and not an empty folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already; name a new folder.")


@contextlib.contextmanager
def fresh(*folders: Path) -> Iterator[None]:
    """Remove these folders, which are ours, before the block, and again where it fails.

    Raises:
        OSError: one of them cannot be removed.
    """
    for folder in folders:
        _remove(folder)
    try:
        yield
    except BaseException:
        for folder in folders:
            with contextlib.suppress(OSError):
                _remove(folder)
        raise


def _remove(folder: Path) -> None:
    """Remove a folder, or the link in its place: what that leads to is somebody else's."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
