"""Fetching a dataset from the Hugging Face Hub, at a commit that params.yaml can name."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm.contrib.concurrent import thread_map

from dreamcart.core.arguments import new_folder, text
from dreamcart.core.errors import UserError
from dreamcart.core.files import writing
from dreamcart.core.hub import check_repo_id, hub_api, patiently
from dreamcart.core.paths import hub_folder, inside
from dreamcart.data.schema import INFO_NAME
from dreamcart.record.manifest import remote_info

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

WORKERS = 8  # files that are fetched at a time


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo_id", type=text, help="OWNER/NAME on the Hub")
    parser.add_argument("--revision", type=text, default="main", help="a commit, a tag or a branch")
    words = "where to put it (default: data/hub/OWNER__NAME)"
    parser.add_argument("--out", type=new_folder, metavar="FOLDER", help=words)


def run(args: argparse.Namespace) -> None:
    check_repo_id(args.repo_id)
    out = args.out or hub_folder(args.repo_id)
    revision = pull(args.repo_id, args.revision, out)
    print(f"{args.repo_id} is in {out}.\nTo train on it, in params.yaml:\n")
    print(f"collect:\n  source: {args.repo_id}\n  revision: {revision}")


def pull(repo_id: str, revision: str, out: Path) -> str:
    """Fetch a Hub dataset into the folder `out`, continuing what an earlier pull left.

    A file appears there only when it is whole, dataset_info.json last. What begins with a dot is no
    data, and is not fetched.

    Returns:
        The commit.

    Raises:
        UserError: the Hub refuses, stays busy or is none, `out` holds other recordings, or a shard
            is no Parquet file.
    """
    check_repo_id(repo_id)
    api = hub_api()
    commit, files = patiently(repo_id, lambda: api.contents(repo_id, revision, recursive=True))
    files = {name: file for name, file in files.items() if "/." not in f"/{name}"}
    if not any(name.endswith(".parquet") for name in files):
        raise UserError(
            f"{repo_id} holds no Parquet files, so no recordings; see its page on the Hub."
        )
    if INFO_NAME in files:
        patiently(repo_id, lambda: remote_info(api, repo_id, commit))
    lacking = _lacking(files, out, repo_id)

    def fetch(name: str) -> None:
        with writing(inside(out, name)) as temporary:
            patiently(repo_id, lambda: api.fetch(repo_id, commit, files[name], temporary))

    several = [name for name in lacking if name != INFO_NAME]
    thread_map(fetch, several, max_workers=WORKERS, unit="file", desc=f"pull {repo_id}", delay=2)
    if INFO_NAME in lacking:
        fetch(INFO_NAME)
    return commit


def _lacking(files: "dict[str, RepoFile]", out: Path, repo_id: str) -> list[str]:
    """Return the names of the files that are not in `out` yet.

    Raises:
        UserError: a name leads out of `out`, or recordings that are there would be lost or mixed
            with others.
    """
    from dreamcart.core.hub_client import has_hash, hash_of

    paths = {name: inside(out, name) for name in files}
    lacking = [name for name in files if not has_hash(paths[name], hash_of(files[name]))]
    for name in lacking:
        if name.endswith(".parquet") and paths[name].exists():
            raise UserError(
                f"{out / name} is another file than the one in {repo_id}, and would be lost; choose"
                " another --out."
            )
    here = {path.name for path in out.glob("*.parquet")}
    if (out / INFO_NAME).is_file() and not files.keys() & here:
        raise UserError(f"{out} already holds another dataset; choose another --out.")
    return lacking
