"""Writing files so that a full disk or a power cut leaves either the old file or the new one, never
half of one.
"""

import contextlib
import csv
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dreamcart.core.errors import UserError, number_of, shown

RESTORE = "restore it with `git checkout`"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _umask() -> int:
    """The process's mask of permissions.

    It can only be read by setting it, which no other thread may see.
    """
    mask = os.umask(0)
    os.umask(mask)
    return mask


UMASK = _umask()


@contextlib.contextmanager
def writing(path: Path, lasting: bool = True) -> Iterator[Path]:
    """Give an empty temporary file beside `path`; it takes the place of `path` in one step when the
    block ends well.

    Its name is new, so that nobody's file is touched, and hidden. Parent folders are made.
    `lasting` flushes it to the disk first. Where the block fails it is removed, and `path` is as it
    was.

    Raises:
        OSError: what the system or a library says where it cannot be written, with `path` as its
            file.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent
        )
        temporary = Path(name)
        os.close(handle)
        yield temporary
        temporary.chmod(0o666 & ~UMASK)  # mkstemp's 0600 would hide it from others
        if lasting:
            with open(temporary, "rb") as written:
                os.fsync(written.fileno())
        os.replace(temporary, path)
    except BaseException as problem:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        number = (
            number_of(problem)
            if isinstance(problem, Exception) and not isinstance(problem, UserError)
            else None
        )
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from None


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, atomically."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as sorted, indented JSON, atomically; parent folders are made."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


class _Once(yaml.SafeLoader):
    """YAML without tags, in which no key of a mapping may stand twice: the first would be lost
    without a word.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_text(path: Path, missing: str, remedy: str = RESTORE) -> str:
    """Read UTF-8 text.

    Raises UserError where there is none, and with the sentence `missing` where there is no file.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(missing) from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8; save it as such, or {remedy}.") from None
    except IsADirectoryError:
        raise UserError(
            f"{path} is a folder where a file should be; move it away, or {remedy}."
        ) from None
    except OSError as problem:
        raise UserError(
            f"{path} cannot be read ({os.strerror(problem.errno or 0)}); change its rights, or move"
            " it away."
        ) from None


def read_yaml(path: Path, missing: str, remedy: str = RESTORE) -> Any:
    """Read YAML. Raises UserError where it is none, has a key twice, and with the sentence
    `missing` where there is no file.

    `remedy` says what to do with a damaged one besides correcting it.
    """
    text = read_text(path, missing, remedy)
    try:
        return yaml.load(text, _Once)
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, TypeError) as problem:
        # a date that is none, a million [
        mark = getattr(problem, "problem_mark", None)
        where = f" near line {mark.line + 1}" if mark else ""
        twice = getattr(problem, "problem", None) or ""
        what = f"has {shown(twice)[1:-1]}" if twice.endswith(" twice") else "is not valid YAML"
        raise UserError(f"{path} {what}{where}; correct it, or {remedy}.") from None


def read_json(path: Path, remedy: str = "delete it and run `dvc repro` again") -> Any:
    """Read JSON.

    Raises UserError where the file is missing or is not JSON; `remedy` says what to do with such a
    one.
    """
    try:
        return json.loads(read_text(path, f"{path} is missing; run `dvc repro` to make it."))
    except (ValueError, RecursionError):
        raise UserError(f"{path} is damaged (not JSON); {remedy}.") from None


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows with the same keys as CSV, atomically, for `dvc plots`."""
    with writing(path) as temporary, open(temporary, "w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.8g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows
        )


def save_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file, atomically."""
    with writing(path) as temporary, open(temporary, "wb") as handle:
        np.save(handle, array)


def fingerprint(*parts: Any) -> str:
    """A short hash of JSON-able values and files (given as `Path`: their bytes count, not their
    names).
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            with open(part, "rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
        else:
            digest.update(json.dumps(part, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:16]


def write_array(path: Path, shape: tuple[int, ...], dtype: str) -> np.memmap:
    """A new .npy file of that shape, mapped into memory for writing: rows go to disk, not to RAM.

    `path` is a temporary one (see `writing`): it takes its name when its rows are written and
    flushed. Raises OSError where the disk has no room for it: a write to a mapped page that cannot
    be stored would kill the process.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as handle:
            try:
                os.posix_fallocate(handle.fileno(), 0, path.stat().st_size)
            except OSError as problem:
                if problem.errno in NO_ROOM:
                    path.unlink()
                    # else: a file system that cannot promise room
                    raise OSError(problem.errno, "", str(path)) from None
    return array


def read_array(path: Path) -> np.ndarray:
    """A .npy file mapped read-only. Raises UserError where it is missing or truncated."""
    try:
        return np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except (ValueError, OSError, EOFError):
        raise UserError(
            f"{path} is damaged (truncated or no .npy file); delete it and run `dvc repro` again."
        ) from None


def replace_atomically(temporary: Path, final: Path) -> None:
    """TO BE REMOVED: use `writing`."""
    with open(temporary, "rb") as handle:
        os.fsync(handle.fileno())
    os.replace(temporary, final)
