"""Fetching a dataset from the Hugging Face Hub, at a commit that params.yaml can name."""

import argparse
from pathlib import Path

from tqdm import tqdm

from dreamcart.data.schema import INFO_NAME, read_info
from dreamcart.errors import ROOT, UserError
from dreamcart.huggingface import hub_api, patiently
from dreamcart.record.manifest import sha256


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo_id", help="OWNER/NAME on the Hub")
    parser.add_argument("--revision", default="main", help="a commit, a tag or a branch (default: main)")
    parser.add_argument("--out", type=Path, help="folder to put it in (default: data/hub/OWNER__NAME)")


def run(args: argparse.Namespace) -> None:
    out = args.out or ROOT / "data" / "hub" / args.repo_id.replace("/", "__")
    revision = pull(args.repo_id, args.revision, out)
    print(f"{args.repo_id} is in {out}.\nTo train on it, in params.yaml:\n")
    print(f"collect:\n  source: {args.repo_id}\n  revision: {revision}")


def pull(repo_id: str, revision: str, out: Path) -> str:
    """Fetch a Hub dataset into the folder `out`, continuing what an earlier pull left. Returns the commit.

    Raises:
        UserError: the Hub refuses or stays busy, `out` holds other recordings, or what arrived is damaged.
    """
    api = hub_api()
    commit = patiently(repo_id, lambda: api.dataset_info(repo_id, revision=revision).sha)
    tree = patiently(repo_id, lambda: list(api.list_repo_tree(repo_id, repo_type="dataset", revision=commit, recursive=True)))
    if not any(file.path.endswith(".parquet") for file in tree):
        raise UserError(f"{repo_id} holds no Parquet files, and so no recordings; look at its page on the Hub.")
    hashes = {file.path: file.lfs.sha256 for file in tree if getattr(file, "lfs", None)}
    shards = {name: digest for name, digest in hashes.items() if name.endswith(".parquet")}
    for name, digest in shards.items():
        if (out / name).is_file() and sha256(out / name) != digest:
            raise UserError(f"{out / name} is another file than the one in {repo_id}, and would be lost; choose another --out.")
    if (out / INFO_NAME).is_file() and not shards.keys() & {path.name for path in out.glob("*.parquet")}:
        raise UserError(f"{out} already holds another dataset; choose another --out.")
    patiently(repo_id, lambda: api.snapshot_download(repo_id, repo_type="dataset", revision=commit, local_dir=out))
    for name, digest in tqdm(shards.items(), unit="shard", desc="check", delay=2):
        if sha256(out / name) != digest:
            (out / name).unlink()
            raise UserError(f"{name} arrived damaged and was deleted; run the same command again.")
    if (out / INFO_NAME).is_file():
        read_info(out)
    return commit
