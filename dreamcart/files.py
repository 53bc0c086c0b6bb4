"""Writing files so that a power cut leaves either the old file or the new one, never half of one."""

import csv
import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dreamcart.errors import UserError


def replace_atomically(temporary: Path, final: Path) -> None:
    """Flush `temporary` to the disk, then put it in the place of `final` in one step."""
    with open(temporary, "rb") as handle:
        os.fsync(handle.fileno())
    os.replace(temporary, final)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as sorted, indented JSON, atomically; parent folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
    replace_atomically(temporary, path)


def read_yaml(path: Path, missing: str) -> Any:
    """Read YAML. Raises UserError where it is none, and with the sentence `missing` where there is no file."""
    try:
        return yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(missing) from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8; save it as such, or restore it with `git checkout`.") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f" near line {mark.line + 1}" if mark else ""
        raise UserError(f"{path} is not valid YAML{where}; correct it, or restore it with `git checkout`.") from None


def read_json(path: Path) -> Any:
    """Read JSON. Raises UserError where the file is missing or is not JSON."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise UserError(f"{path} is damaged (not JSON); delete it and run `dvc repro` again.") from None


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Rows with the same keys as CSV, atomically, for `dvc plots`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({k: f"{v:.8g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    replace_atomically(temporary, path)


def fingerprint(*parts: Any) -> str:
    """A short hash of JSON-able values and files (given as `Path`: their bytes count, not their names)."""
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

    Raises OSError where the disk has no room for it: a write to a mapped page that cannot be stored would kill the process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as handle:
            try:
                os.posix_fallocate(handle.fileno(), 0, path.stat().st_size)
            except OSError as problem:
                if problem.errno in (errno.ENOSPC, errno.EDQUOT):
                    path.unlink()
                    raise OSError(problem.errno, "", str(path)) from None  # else: a file system that cannot promise room
    return array


def read_array(path: Path) -> np.ndarray:
    """A .npy file mapped read-only. Raises UserError where it is missing or truncated."""
    try:
        return np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except (ValueError, OSError, EOFError):
        raise UserError(f"{path} is damaged (truncated or no .npy file); delete it and run `dvc repro` again.") from None
