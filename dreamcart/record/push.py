"""Sharing a dataset on the Hugging Face Hub.

A push only ever adds: shards that are there stay as they are, whoever brought them. It may be
interrupted anywhere; run again it goes on, because what has arrived is recognised by its hash.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dreamcart.core.arguments import text
from dreamcart.core.errors import UserError
from dreamcart.core.files import write_json
from dreamcart.core.hub import check_repo_id, hub_api, patiently
from dreamcart.data.schema import INFO_NAME, SCHEMA_VERSION
from dreamcart.games.spec import GameSpec
from dreamcart.record.card import MARK, PREVIEW, card, counts_of, preview_frames
from dreamcart.record.folders import dataset_folder
from dreamcart.record.manifest import describe, new_shards, remote_info, with_shards

SHARDS_IN_UPLOAD = 8  # sent together, by threads
SHARDS_IN_COMMIT = 64  # then they are in the dataset for good


def add(parser: argparse.ArgumentParser) -> None:
    words = "a folder, or a game whose recordings are in data/"
    parser.add_argument("dataset", type=text, help=words)
    parser.add_argument("repo_id", type=text, help="OWNER/NAME on the Hub; made if it is not there")
    parser.add_argument("--private", action="store_true", help="make it private, if it is made")


def run(args: argparse.Namespace) -> None:
    folder = dataset_folder(args.dataset)
    report = push(folder, args.repo_id, args.private)
    print(
        f"{args.repo_id}: {report['sent']} shards added, {report['episodes']} episodes with"
        f" {report['steps']} steps there now; revision {report['revision']}"
    )


def push(folder: Path, repo_id: str, private: bool = False) -> dict[str, Any]:
    """Add the shards of `folder` to the Hub dataset `repo_id`, with its card, and make the dataset
    if it is not there.

    Returns sent (shards added now), episodes and steps (there now) and revision (the commit).

    Raises:
        UserError: a shard is damaged or no file of `folder`, the Hub's history conflicts with this
            one, or the Hub refuses, stays busy or says nonsense.
    """
    check_repo_id(repo_id)
    local = describe(folder)
    api = hub_api()
    patiently(
        repo_id,
        lambda: api.create_repo(
            repo_id, repo_type="dataset", private=private or None, exist_ok=True
        ),
    )
    sent = 0
    with tqdm(total=len(local["shards"]), unit="shard", desc=f"push to {repo_id}", delay=2) as bar:
        while True:
            count, left, revision, whole = patiently(
                repo_id, lambda: _push_some(api, folder, repo_id, local, bar)
            )
            sent += count
            if not left:
                return counts_of(whole) | {"sent": sent, "revision": revision}


def _push_some(
    api: Any, folder: Path, repo_id: str, local: dict[str, Any], bar: tqdm
) -> tuple[int, int, str, dict[str, Any]]:
    """One commit's worth of what is missing there. Returns shards sent, shards left, the commit,
    the info there now.

    It looks at what is there first, so that it can be repeated after any failure.
    """
    from huggingface_hub import CommitOperationAdd

    from dreamcart.core.hub_client import commit_of

    head, there, remote = _look(api, repo_id, local)
    fresh = new_shards(local, remote, repo_id)
    bar.n = len(local["shards"]) - len(fresh)
    bar.refresh()
    whole = _merged(local, remote, fresh[:SHARDS_IN_COMMIT])
    if not fresh:
        return 0, 0, head, whole
    additions = [CommitOperationAdd(name, str(folder / name)) for name in fresh[:SHARDS_IN_COMMIT]]
    for first in range(0, len(additions), SHARDS_IN_UPLOAD):
        some = additions[first : first + SHARDS_IN_UPLOAD]
        api.preupload_lfs_files(
            repo_id, some, repo_type="dataset", free_memory=False, num_threads=4
        )
        bar.update(len(some))
    with tempfile.TemporaryDirectory() as temporary:
        small = [_write_json(Path(temporary) / INFO_NAME, whole)]
        if PREVIEW not in there:
            small.append(_write_preview(Path(temporary) / PREVIEW, folder, local))
        if _may_write_card(api, repo_id, head, there):
            (Path(temporary) / "README.md").write_text(card(repo_id, whole, preview=True))
            small.append(Path(temporary) / "README.md")
        counts = counts_of(whole)
        commit = api.create_commit(
            repo_id,
            [*additions, *(CommitOperationAdd(path.name, str(path)) for path in small)],
            commit_message=(
                f"Add {len(additions)} shards: {counts['episodes']} episodes, {counts['steps']}"
                " steps"
            ),
            repo_type="dataset",
            parent_commit=head,  # refused where somebody else was faster: then look again
        )
    return len(additions), len(fresh) - len(additions), commit_of(commit.oid), whole


def _look(
    api: Any, repo_id: str, local: dict[str, Any]
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The Hub's side: its newest commit, its files by path, and its dataset_info.json (empty before
    the first push).
    """
    head, files = api.contents(repo_id)
    shards = [path for path in files if path.endswith(".parquet")]
    if INFO_NAME not in files:
        if shards:
            raise UserError(
                f"{repo_id} holds a dataset that Dreamcart did not write ({shards[0]}, …); push"
                " into another repository."
            )
        return head, files, {"schema_version": SCHEMA_VERSION, "game": local["game"], "shards": {}}
    info = with_shards(remote_info(api, repo_id, head), repo_id)
    for name in shards:
        oid = files[name].lfs.sha256 if files[name].lfs else None
        if name not in info["shards"] or (oid and info["shards"][name]["sha256"] != oid):
            raise UserError(
                f"{repo_id} was changed by hand: {name} is not as its {INFO_NAME} says; push into"
                " another repository."
            )
    info["shards"] = {name: shard for name, shard in info["shards"].items() if name in files}
    return head, files, info


def _may_write_card(api: Any, repo_id: str, revision: str, there: dict[str, Any]) -> bool:
    """Whether README.md is missing or ours: what a person wrote there stays."""
    if "README.md" not in there:
        return True
    return MARK in Path(
        api.hf_hub_download(repo_id, "README.md", repo_type="dataset", revision=revision)
    ).read_text(errors="replace")


def _merged(local: dict[str, Any], remote: dict[str, Any], fresh: list[str]) -> dict[str, Any]:
    """dataset_info.json after a push of these shards: the first push says what is said once (game,
    versions).
    """
    shards = remote["shards"] | {name: local["shards"][name] for name in fresh}
    numbers = [number for shard in shards.values() for number in shard["episodes"]]
    counted = {"first_episode": min(numbers, default=0), "episodes": max(numbers, default=-1) + 1}
    lossy = sorted({name for info in (local, remote) for name in info.get("lossy", [])})
    return {**local, **remote, **counted, "lossy": lossy, "shards": shards}


def _write_json(path: Path, value: dict[str, Any]) -> Path:
    write_json(path, value)
    return path


def _write_preview(path: Path, folder: Path, info: dict[str, Any]) -> Path:
    from dreamcart.evaluation.pictures import save_gif

    spec = GameSpec.from_dict(info["game"])
    save_gif(preview_frames(folder, spec), path, spec.step_rate, scale=1)
    return path
