"""The Hub's client, with every answer checked before anything is made of it.

`huggingface_hub` trusts what it is told: it makes names of files out of headers, and keeps in its
cache, for good, whatever was sent under a file's name. A login page, a proxy or a broken server
answers such requests too.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import HfApi, constants, hf_hub_url, set_client_factory
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.hf_api import DatasetInfo, RepoFile, RepoFolder
from huggingface_hub.utils import build_hf_headers, tqdm
from huggingface_hub.utils._http import default_client_factory
from safetensors import SafetensorError, safe_open

from dreamcart.core.errors import UserError, shown
from dreamcart.core.hub import NotTheHub

COMMIT = re.compile(r"[0-9a-f]{40}")
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # see hash_of
REVISION = re.compile(r"\w[\w.+-]*(/\w[\w.+-]*)*")


class HubClient(HfApi):
    """HfApi whose answers are checked: its methods raise NotTheHub besides what they raise
    there.
    """

    def dataset_info(self, repo_id: str, **options: Any) -> DatasetInfo:
        """As HfApi's, with a `sha` that is one. Raises UserError for what can be no revision."""
        _check_revision(options.get("revision"))
        info = super().dataset_info(repo_id, **options)
        commit_of(info.sha)
        return info

    def contents(
        self, repo_id: str, revision: str | None = None, recursive: bool = False
    ) -> tuple[str, dict[str, RepoFile]]:
        """Return a dataset's commit and files by path; those of its top folder unless
        `recursive`.
        """
        info = self.dataset_info(repo_id, revision=revision)
        options = {"repo_type": "dataset", "revision": info.sha, "recursive": recursive}
        tree = list(self.list_repo_tree(repo_id, **options))
        for entry in tree:
            _check_entry(entry)
        files = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
        for name in (sibling.rfilename for sibling in info.siblings or []):
            if name not in files and (recursive or "/" not in name):
                raise NotTheHub(f"its list of files leaves out {shown(name)}, which the commit has")
        return str(info.sha), files

    def hf_hub_download(self, repo_id: str, filename: str, **options: Any) -> str:
        """As HfApi's, into the cache, where no file stays that has another hash than its name.

        Small files that `datasets` keeps there (README.md) are checked along with it. Raises
        UserError for a file that is not of the kind that it is called, which does not stay either,
        and for what can be no revision.
        """
        _check_revision(options.get("revision"))
        folder = repo_folder_name(repo_id=repo_id, repo_type=options.get("repo_type") or "model")
        snapshots = Path(constants.HF_HUB_CACHE) / folder / "snapshots"
        for link in snapshots.glob("*/**/*"):
            mine = link.relative_to(snapshots).parts[1:] == PurePosixPath(filename).parts
            if link.is_symlink() and (mine or len(_blob(link).name) != 64) and not _as_named(link):
                _forget(link)
        path = super().hf_hub_download(repo_id, filename, **options)
        try:
            if Path(path).is_symlink() and not _as_named(Path(path)):
                raise NotTheHub(f"what was sent as {filename} has another hash")
            _check_kind(Path(path), filename, repo_id)
        except (NotTheHub, UserError):
            _forget(Path(path))
            raise
        return path

    def fetch(self, repo_id: str, commit: str, file: RepoFile, path: Path) -> None:
        """Download a file of a dataset's `contents` to `path`.

        Raises NotTheHub where something else came, and UserError where the file is not of the kind
        that it is called.
        """
        url = hf_hub_url(repo_id, file.path, repo_type="dataset", revision=commit)
        size = file.lfs.size if file.lfs else file.size
        with open(path, "wb") as handle:
            silent = tqdm(disable=True)  # several are fetched at a time
            http_get(url, handle, headers=build_hf_headers(), expected_size=size, _tqdm_bar=silent)
        if not has_hash(path, hash_of(file)):
            raise NotTheHub(f"what was sent as {file.path} has another hash")
        _check_kind(path, file.path, repo_id)


def commit_of(answer: Any) -> str:
    """Return `answer` where it is the hash of a commit. Raises NotTheHub."""
    if not isinstance(answer, str) or not COMMIT.fullmatch(answer):
        raise NotTheHub(f"it gives {shown(answer)} as a commit")
    return answer


def hash_of(file: RepoFile) -> str:
    """Return the hash that the Hub gives: SHA-256 of a large file, Git's SHA-1 of a small one."""
    return file.lfs.sha256 if file.lfs else file.blob_id


def has_hash(path: Path, digest: str) -> bool:
    """Whether the file at `path` is there and is what the Hub names by `digest` (see `hash_of`)."""
    if not path.is_file():
        return False
    with open(path, "rb") as handle:
        if len(digest) == 64:
            return hashlib.file_digest(handle, "sha256").hexdigest() == digest
        as_git = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
        return hashlib.file_digest(handle, lambda: as_git).hexdigest() == digest


def _check_kind(path: Path, name: str, repo_id: str) -> None:
    """Raise UserError where a file is not of the kind that its name says, if Dreamcart reads it."""
    words, opens = KINDS.get(name) or KINDS.get(PurePosixPath(name).suffix) or ("", None)
    try:
        if opens is not None:
            opens(path)
    except (ValueError, RecursionError, SafetensorError, pa.ArrowException):
        sentence = f"{name} of {repo_id} on the Hub is no {words}; look at its page there."
        raise UserError(sentence) from None


def _open_json(path: Path) -> None:
    if not isinstance(json.loads(path.read_text(encoding="utf-8")), dict):
        raise ValueError("no object")


def _open_safetensors(path: Path) -> None:
    with safe_open(path, framework="numpy"):
        pass


KINDS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "dataset_info.json": ("JSON object", _open_json),
    ".cart": ("cart", _open_safetensors),
    ".parquet": ("Parquet file", pq.read_metadata),
}


def _check_revision(revision: str | None) -> None:
    """Raise UserError for what can be no revision: in the cache it becomes the name of a file."""
    if revision is not None and (not REVISION.fullmatch(revision) or ".." in revision):
        raise UserError(f"{shown(revision)} is no revision; write a commit, a tag or a branch.")


def _check_entry(entry: RepoFile | RepoFolder) -> None:
    """Raise NotTheHub for an entry in a list of files that Git could not hold, or we not use."""
    path = entry.path
    plain = isinstance(path, str) and not re.search(r"[\x00-\x1f\x7f\\]", path)
    if not plain or not path or {"", ".", ".."} & set(path.split("/")):
        raise NotTheHub(f"its list of files has a name {shown(path)}")
    if isinstance(entry, RepoFile):
        size, digest = (entry.lfs.size if entry.lfs else entry.size), hash_of(entry)
        known = type(size) is int and size >= 0 and isinstance(digest, str)
        if not known or not HASH.fullmatch(digest):
            raise NotTheHub(f"its list of files has no size or no hash of {shown(path)}")


def _blob(link: Path) -> Path:
    """Return where a link of the cache leads, one step: the hash is that file's name."""
    return Path(os.path.normpath(link.parent / os.readlink(link)))


def _as_named(link: Path) -> bool:
    """Whether a file of the cache has the hash that the Hub gave."""
    digest = _blob(link).name
    return bool(HASH.fullmatch(digest)) and has_hash(link, digest)


def _forget(path: Path) -> None:
    """Remove a file from the cache, with what its link leads to."""
    blob = _blob(path) if path.is_symlink() else None
    path.unlink(missing_ok=True)
    if blob is not None and blob.parent.name == "blobs":
        blob.unlink(missing_ok=True)


def _check_headers(response: httpx2.Response) -> None:
    """Raise NotTheHub for headers that are no hashes: the cache makes names of files out of
    them.
    """
    commit = response.headers.get(constants.HUGGINGFACE_HEADER_X_REPO_COMMIT)
    if commit is None:
        return
    commit_of(commit)
    linked = response.headers.get(constants.HUGGINGFACE_HEADER_X_LINKED_ETAG)
    digest = (linked or response.headers.get("etag", "")).removeprefix("W/").strip('"')
    of_a_file = response.request.method == "HEAD" and response.status_code < 400
    if of_a_file and digest and not HASH.fullmatch(digest):
        raise NotTheHub(f"it gives {shown(digest)} as the hash of a file")


def _make_client() -> httpx2.Client:
    """Make huggingface_hub's client for HTTP, which `datasets` uses as well; it checks headers."""
    client = default_client_factory()
    hooks = client.event_hooks
    client.event_hooks = {**hooks, "response": [*hooks["response"], _check_headers]}
    return client


set_client_factory(_make_client)
