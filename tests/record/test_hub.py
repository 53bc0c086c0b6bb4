"""Sharing over the Hub, against a stand-in on this machine: what is pushed, what is refused, what
is tried again.
"""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image
from toys.hub_stand_in import DROP, Fault
from toys.recordings import recorder_rows, write_recorder
from toys.synthetic import assert_sentence, make_rows, make_spec, write_raw

from dreamcart.core.errors import UserError
from dreamcart.core.files import read_json, write_json
from dreamcart.core.paths import ROOT
from dreamcart.data.images import decode_image
from dreamcart.data.imports import import_recordings
from dreamcart.data.reader import read_episodes
from dreamcart.data.schema import COLUMNS, INFO_NAME
from dreamcart.params import CollectConfig
from dreamcart.record.card import card
from dreamcart.record.convert import convert
from dreamcart.record.manifest import describe
from dreamcart.record.pull import pull
from dreamcart.record.push import push
from dreamcart.record.watch import Recording

pytest.importorskip("datasets")
REPO, KEY = "me/toy", "datasets/me/toy"


def record(folder: Path, numbers: list[int], shard: int = 0) -> Path:
    """Episodes as one more shard of the dataset in `folder`."""
    made = write_raw(folder.parent / "one", [make_rows(n, 5 + n, first=n) for n in numbers])
    folder.mkdir(exist_ok=True)
    shutil.copy(made / "play-00000.parquet", folder / f"play-{shard:05d}.parquet")
    info = read_json(made / INFO_NAME) | {
        "emulator": "toy",
        "emulator_version": "1.2\n",
        "rom_sha1": "abc",
    }
    write_json(folder / INFO_NAME, info)
    return folder


@pytest.fixture
def dataset(tmp_path) -> Path:
    return record(record(tmp_path / "play", [0, 1]), [2], shard=1)


def stage(hub, *arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "stages" / "record.py"), *arguments]
    return subprocess.run(
        command, env=hub.environment, capture_output=True, text=True, timeout=300, **options
    )


def python(hub, code: str) -> str:
    """What a plain Python with the Hub in reach prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=hub.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_a_push_then_a_pull_gives_the_same_dataset(hub, dataset, tmp_path):
    """Every row arrives as it was, by the commands as a person types them, and params.yaml's two
    lines are printed.
    """
    pushed = stage(hub, "push", str(dataset), REPO)
    assert pushed.returncode == 0, pushed.stderr
    revision = hub.repos[KEY].commits[-1][0]
    assert (
        f"2 shards added, 3 episodes with 15 steps there now; revision {revision}" in pushed.stdout
    )
    pulled = stage(hub, "pull", REPO, "--out", str(tmp_path / "pulled"))
    assert pulled.returncode == 0, pulled.stderr
    lines = yaml.safe_load(pulled.stdout[pulled.stdout.index("collect:") :])
    assert lines == {"collect": {"source": REPO, "revision": revision}}
    assert list(read_episodes(tmp_path / "pulled")) == list(read_episodes(dataset))


def test_what_was_pushed_opens_in_plain_datasets(hub, dataset):
    """`load_dataset` alone, whole and streaming, finds all rows, images and buttons."""
    push(dataset, REPO)
    show = (
        "print(json.dumps([[r['episode_id'], r['step'], r['actions'], r['observations'].size] for r"
        " in data]))"
    )
    rows = [row for episode in read_episodes(dataset) for row in episode]
    wanted = [[row["episode_id"], row["step"], row["actions"], [32, 24]] for row in rows]
    for options in ("", ", streaming=True"):
        code = (
            f"import json, datasets; data = datasets.load_dataset('{REPO}',"
            f" split='train'{options}); {show}"
        )
        assert json.loads(python(hub, code)) == wanted, options
    first = python(
        hub, f"import datasets; print(datasets.load_dataset('{REPO}', split='train').column_names)"
    )
    assert first == str(COLUMNS)


def test_the_card_says_what_is_there(hub, dataset):
    """Counts, buttons with keys, versions and the ROM; its picture moves."""
    push(dataset, REPO)
    files = hub.files(KEY)
    assert set(files) == {
        ".gitattributes",
        "README.md",
        INFO_NAME,
        "preview.gif",
        "play-00000.parquet",
        "play-00001.parquet",
    }
    card = files["README.md"].decode()
    head = yaml.safe_load(card.split("---")[1])
    assert head["configs"][0]["data_files"] == [{"split": "train", "path": "*.parquet"}]
    for fact in (
        "| episodes | 3 |",
        "| steps | 15 |",
        "`Toy-Nes-v0` (retro)",
        "| emulator | toy 1.2 |",
        "SHA-1 `abc`",
        "| schema | version 1 |",
    ):
        assert fact in card, fact
    assert re.findall(r"^\| (\d+) \| (\S+) \| (\S+) \|$", card, re.M)[0] == ("0", "A", "x")
    assert all(f"`{name}`" in card for name in COLUMNS)
    (dataset / "preview.gif").write_bytes(files["preview.gif"])
    with Image.open(dataset / "preview.gif") as gif:
        assert gif.n_frames > 1
        assert gif.size == (32, 24)


def test_the_card_of_an_import_says_where_it_comes_from(hub, tmp_path):
    """Lossy images are not called lossless, and no path of somebody's disk is published."""
    source = write_recorder(tmp_path / "source", recorder_rows([4, 5], "JPEG"))
    convert(source, "", tmp_path / "out", make_spec())
    push(tmp_path / "out", REPO)
    card = hub.files(KEY)["README.md"].decode()
    assert (
        "converted by Dreamcart from `source`. They were recorded as JPEG, which lost detail."
        in card
    )
    assert "Play of a real emulator" not in card
    assert "without loss" not in card
    assert not [name for name, data in hub.files(KEY).items() if str(tmp_path).encode() in data]


def test_the_card_of_a_mixed_dataset_says_both(hub, dataset, tmp_path):
    """What was played here is not said to be converted, nor what was converted to be without
    loss.
    """
    push(dataset, REPO)
    source = write_recorder(tmp_path / "source", recorder_rows([4, 5], "JPEG"))
    convert(source, "", tmp_path / "out", make_spec(), first=10)
    push(tmp_path / "out", REPO)
    card = hub.files(KEY)["README.md"].decode()
    assert (
        "without loss. Recordings of a real emulator, converted by Dreamcart from `source`. Those"
        " were recorded as JPEG" in card
    )
    pull(REPO, "main", tmp_path / "pulled")
    info = read_json(tmp_path / "pulled" / INFO_NAME)
    assert info["lossy"] == ["JPEG"]
    assert [shard["source"] for shard in info["shards"].values()] == ["", "", "source"]


def test_a_card_that_a_person_wrote_stays(hub, dataset):
    """The mark in the card says whose it is."""
    hub.put(KEY, {"README.md": b"# Mine"})
    push(dataset, REPO)
    assert hub.files(KEY)["README.md"] == b"# Mine"


def test_pushing_again_adds_only_what_is_new(hub, dataset):
    """The second push sends one shard, the third nothing; the shards that were there are the same
    files.
    """
    push(dataset, REPO)
    before, sent = hub.files(KEY), len(hub.asked("PUT", "/lfs/"))
    record(dataset, [3, 4], shard=2)
    report = push(dataset, REPO)
    assert (report["sent"], report["episodes"]) == (1, 5)
    assert len(hub.asked("PUT", "/lfs/")) == sent + 1
    after = hub.files(KEY)
    assert {name: after[name] for name in before if name.endswith((".parquet", ".gif"))} == {
        name: data for name, data in before.items() if name.endswith((".parquet", ".gif"))
    }
    assert "| episodes | 5 |" in after["README.md"].decode()
    commits = len(hub.repos[KEY].commits)
    assert push(dataset, REPO)["sent"] == 0
    assert len(hub.repos[KEY].commits) == commits


def test_recordings_of_two_people_meet_in_one_dataset(hub, tmp_path):
    """Who lacks the other's shards adds their own, and deletes nothing."""
    push(record(tmp_path / "mine", [0, 1], shard=0), REPO)
    report = push(record(tmp_path / "yours", [2, 3], shard=1), REPO)
    assert report["episodes"] == 4
    pull(REPO, "main", tmp_path / "pulled")
    assert [episode[0]["episode_id"] for episode in read_episodes(tmp_path / "pulled")] == [
        0,
        1,
        2,
        3,
    ]
    assert read_json(tmp_path / "pulled" / INFO_NAME)["episodes"] == 4  # not the first one's two


def conflict_in_content(folder: Path) -> None:
    record(folder, [5], shard=0)


def conflict_in_episodes(folder: Path) -> None:
    (folder / "play-00000.parquet").rename(folder / "play-00009.parquet")
    record(folder, [0], shard=9)


def conflict_in_game(folder: Path) -> None:
    record(folder, [7], shard=7)
    write_json(
        folder / INFO_NAME,
        read_json(folder / INFO_NAME) | {"game": make_spec(frame_skip=4).to_dict()},
    )


def conflict_in_rom(folder: Path) -> None:
    write_json(folder / INFO_NAME, read_json(folder / INFO_NAME) | {"rom_sha1": "other"})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (conflict_in_content, "another play-00000.parquet.*--first-episode 3"),
        (conflict_in_episodes, r"another episode 0 \(in play-00000.parquet\)"),
        (conflict_in_game, "frame_skip 2"),
        (conflict_in_rom, "another ROM"),
    ],
)
def test_a_conflicting_history_is_refused(hub, dataset, change, named):
    """Nothing is rewritten: one sentence, and the Hub's copy stays as it was."""
    push(dataset, REPO)
    before = hub.repos[KEY].commits[-1]
    change(dataset)
    with pytest.raises(UserError, match=named) as caught:
        push(dataset, REPO)
    assert_sentence(caught.value)
    assert hub.repos[KEY].commits[-1] == before


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"data.parquet": b"x"}, "did not write"),
        ({INFO_NAME: b'{"schema_version": 9, "game": {}, "shards": {}}'}, "version 9"),
        ({INFO_NAME: b"{"}, INFO_NAME),
    ],
)
def test_a_foreign_repository_is_left_alone(hub, dataset, files, named):
    """What another tool or a newer Dreamcart wrote is not added to."""
    hub.put(KEY, files)
    with pytest.raises(UserError, match=named) as caught:
        push(dataset, REPO)
    assert_sentence(caught.value)
    assert len(hub.repos[KEY].commits) == 1


def test_an_interrupted_push_goes_on(hub, tmp_path):
    """Killed while a shard is on its way, run again: only what had not arrived is sent, and all of
    it is there.
    """
    dataset = tmp_path / "play"
    for number in range(12):
        record(dataset, [number], shard=number)
    hub.faults.append(Fault("PUT", "/lfs/", 503, after=9))  # the last three never arrive
    command = [sys.executable, str(ROOT / "stages" / "record.py"), "push", str(dataset), REPO]
    first = subprocess.Popen(
        command, env=hub.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    waited = time.monotonic()
    while len(hub.objects) < 9:
        assert time.monotonic() - waited < 120
        assert first.poll() is None, first.stderr.read()
        signal.sigtimedwait([], 0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    arrived = set(hub.objects)
    hub.faults.clear()
    hub.requests.clear()
    push(dataset, REPO)
    sent = {path.rsplit("/", 1)[1] for path in hub.asked("PUT", "/lfs/")}
    assert not sent & arrived
    files = hub.files(KEY)
    assert all(files[path.name] == path.read_bytes() for path in dataset.glob("*.parquet"))


@pytest.mark.parametrize(
    "fault",
    [
        Fault("PUT", "/lfs/", DROP, times=2),
        Fault("POST", "/commit/", DROP, times=1),
        Fault("POST", "/commit/", 500, times=2),
        Fault("POST", "/api/repos/create", 503, times=2),
        Fault("GET", "/api/datasets/", 429, times=2),
        Fault("POST", "/preupload/", 429, times=2, headers={"Retry-After": "7"}),
        Fault("POST", "/commit/", 412, times=1),
    ],
    ids=lambda fault: f"{fault.status}-{fault.path}",
)
def test_a_busy_hub_is_tried_again(hub, dataset, fault):
    """A passing trouble costs time, and nothing else."""
    hub.faults.append(fault)
    push(dataset, REPO)
    assert fault.times == 0, "the fault was not met"
    assert hub.waits
    assert max(hub.waits) >= (7 if fault.headers else 1)
    files = hub.files(KEY)
    assert all(files[path.name] == path.read_bytes() for path in dataset.glob("*.parquet"))
    assert len(hub.repos[KEY].commits) == 2


def test_a_commit_whose_answer_was_lost_is_not_made_twice(hub, dataset, monkeypatch):
    """The line may break after the Hub has done its work."""
    from toys import hub_stand_in

    commit, broke = hub_stand_in.Handler.commit, []

    def commit_and_hang_up(self, *arguments):
        if broke:
            return commit(self, *arguments)
        broke.append(True)
        self.answer = lambda *_: self.connection.close()
        self.close_connection = True
        return commit(self, *arguments)

    monkeypatch.setattr(hub_stand_in.Handler, "commit", commit_and_hang_up)
    assert push(dataset, REPO)["episodes"] == 3
    assert broke
    assert len(hub.repos[KEY].commits) == 2


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (Fault("POST", "/preupload/", 401), "401"),
        (Fault("POST", "/commit/", 403), "403"),
        (Fault("POST", "/preupload/", 404), "The Hub has no me/toy"),
        (Fault("GET", "/api/datasets/", 429, headers={"Retry-After": "3600"}), "3600 seconds"),
        (Fault("GET", "/api/datasets/", 429, headers={"Retry-After": "²"}), "slow down"),
        (Fault("POST", "/commit/", 429), "slow down"),
        (Fault("PUT", "/lfs/", 500), "answered 500"),
        (Fault("PUT", "/lfs/", DROP), "The line to the Hub"),
        (Fault("POST", "/commit/", 412), "Somebody else"),
    ],
    ids=lambda value: f"{value.status}-{value.path}" if isinstance(value, Fault) else "",
)
def test_a_hub_that_stays_unwilling_is_one_sentence(hub, dataset, fault, named):
    """And when it is willing again, the push goes on; here nothing is lost."""
    before = {path.name: path.read_bytes() for path in dataset.iterdir()}
    hub.faults.append(fault)
    with pytest.raises(UserError, match=named) as caught:
        push(dataset, REPO)
    assert_sentence(caught.value)
    assert {path.name: path.read_bytes() for path in dataset.iterdir()} == before
    hub.faults.clear()
    assert push(dataset, REPO)["episodes"] == 3


def test_without_a_token_a_push_says_how_to_get_one(hub, dataset, monkeypatch):
    """By the command, as a person meets it: one line, status 2."""
    hub.environment.pop("HF_TOKEN")
    done = stage(hub, "push", str(dataset), REPO)
    assert done.returncode == 2
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("error: The Hub refuses access to me/toy (401")
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("repo_id", "named"),
    [
        ("no/such", "The Hub has no no/such"),
        ("a b/c", "OWNER/NAME"),
        ("me/toy", "no such revision"),
    ],
)
def test_a_pull_of_what_is_not_there_is_refused(hub, tmp_path, repo_id, named):
    hub.put(KEY, {"README.md": b"x"})
    with pytest.raises(UserError, match=named) as caught:
        pull(repo_id, "0" * 40 if repo_id == REPO else "main", tmp_path / "out")
    assert_sentence(caught.value)


@pytest.mark.parametrize("status", [429, 500, DROP])
def test_a_pull_through_trouble_arrives(hub, dataset, tmp_path, status):
    """Downloads are tried again as well, and what has arrived is not fetched twice."""
    push(dataset, REPO)
    hub.faults.append(Fault("GET", "/lfs/", status, times=2))
    pull(REPO, "main", tmp_path / "pulled")
    assert list(read_episodes(tmp_path / "pulled")) == list(read_episodes(dataset))
    hub.requests.clear()
    pull(REPO, "main", tmp_path / "pulled")
    assert not hub.asked("GET", "/lfs/")


def test_a_pull_overwrites_no_recordings_of_yours(hub, dataset, tmp_path):
    """A shard of the same name with other content, and another dataset altogether, both stay."""
    push(dataset, REPO)
    for shard in (0, 5):
        mine = record(tmp_path / f"mine{shard}", [9], shard)
        before = {path.name: path.read_bytes() for path in mine.iterdir()}
        with pytest.raises(UserError, match="--out") as caught:
            pull(REPO, "main", mine)
        assert_sentence(caught.value)
        assert {path.name: path.read_bytes() for path in mine.iterdir()} == before


def test_a_shard_that_was_swapped_on_the_hub_is_noticed(hub, dataset, tmp_path):
    """The manifest says what belongs to the dataset; a push onto a history changed by hand is
    refused.
    """
    push(dataset, REPO)
    hub.put(KEY, {"play-00001.parquet": (dataset / "play-00000.parquet").read_bytes()})
    record(dataset, [5], shard=5)
    with pytest.raises(UserError, match="changed by hand") as caught:
        push(dataset, REPO)
    assert_sentence(caught.value)


def test_a_damaged_shard_is_not_shared(hub, dataset):
    """The push reads every byte first."""
    path = dataset / "play-00001.parquet"
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"play-00001\.parquet is damaged") as caught:
        push(dataset, REPO)
    assert_sentence(caught.value)
    assert not hub.repos


def test_a_shared_dataset_is_a_source_of_a_run(hub, dataset, tmp_path):
    """`collect.source` with the revision that a push printed."""
    revision = push(dataset, REPO)["revision"]
    hub.put(KEY, {"play-00000.parquet": b"a later, broken commit"})
    config = CollectConfig(
        REPO, revision, frames=100, episode_steps=10, test_episodes=1, test_steps=10, workers=1
    )
    report = import_recordings(make_spec(), config, tmp_path / "raw", tmp_path / "raw_test")
    assert report["frames"] == 18
    rows = [
        row
        for folder in ("raw", "raw_test")
        for episode in read_episodes(tmp_path / folder)
        for row in episode
    ]
    wanted = [row for episode in read_episodes(dataset) for row in episode]
    for got, row in zip(rows, wanted, strict=True):
        assert (
            decode_image(got["observations"]["bytes"]) == decode_image(row["observations"]["bytes"])
        ).all()
        assert got["actions"] == row["actions"]


def test_a_repository_without_recordings_is_not_pulled(hub, tmp_path):
    """Saying how to train on it would send a person into the next error."""
    hub.put(KEY, {"README.md": b"# Soon"})
    with pytest.raises(UserError, match="no recordings") as caught:
        pull(REPO, "main", tmp_path / "out")
    assert_sentence(caught.value)
    assert not (tmp_path / "out").exists()


def refused(action, *named: str) -> None:
    """`action()` is refused by one sentence with these words."""
    with pytest.raises(UserError) as caught:
        action()
    assert_sentence(caught.value)
    assert all(word in str(caught.value) for word in named), caught.value


NAMES = [
    "../../x.parquet",
    "/tmp/x.parquet",
    "a/../../x.parquet",
    "..\\x.parquet",
    "x\0.parquet",
    "",
    "a//x.parquet",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_the_hubs_list_leads_nowhere(hub, dataset, tmp_path, name):
    """Neither a pull nor a push makes anything of a list with such a name."""
    push(dataset, REPO)
    hub.put(KEY, {name: dataset.joinpath("play-00000.parquet").read_bytes()})
    before = {path for path in tmp_path.rglob("*") if "hf" not in path.parts}
    record(dataset, [5], shard=5)
    before |= {dataset / "play-00005.parquet", tmp_path / "hf"}
    refused(lambda: pull(REPO, "main", tmp_path / "out"), "none that a Hub gives")
    if not name.startswith("a/"):  # a push asks for the top folder alone
        refused(lambda: push(dataset, REPO), "none that a Hub gives")
    assert {path for path in tmp_path.rglob("*") if "hf" not in path.parts} <= before | {
        tmp_path / "one"
    }


def test_a_link_in_the_folder_leads_no_pull_out_of_it(hub, dataset, tmp_path):
    """What lies at the other end is not overwritten."""
    push(dataset, REPO)
    hub.put(KEY, {"more/notes.txt": b"theirs"})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "more").symlink_to(tmp_path / "mine")
    refused(lambda: pull(REPO, "main", tmp_path / "out"), "more/notes.txt", "does not stay inside")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["more"]


def test_a_pull_fetches_no_hidden_files(hub, dataset, tmp_path):
    """A .git of somebody else's would be obeyed."""
    push(dataset, REPO)
    hub.put(KEY, {".git/config": b"[core]", "more/.hidden": b"x", "more/notes.txt": b"y"})
    pull(REPO, "main", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").rglob("*")} == {
        *(
            "more",
            "notes.txt",
            "README.md",
            INFO_NAME,
            "preview.gif",
            "play-00000.parquet",
            "play-00001.parquet",
        )
    }


@pytest.mark.parametrize(
    "repo_id", ["../../x", "a/b/c", "/etc", "a//b", "..", "me/..", "a b", "toy", "me/toy\0"]
)
def test_a_name_that_is_no_repository_is_refused_before_anything_is_asked(
    hub, dataset, tmp_path, repo_id
):
    refused(lambda: pull(repo_id, "main", tmp_path / "out"), "OWNER/NAME")
    refused(lambda: push(dataset, repo_id), "OWNER/NAME")
    assert not hub.requests
    assert not (tmp_path / "out").exists()


def test_a_pull_makes_no_path_of_such_a_name(hub):
    """By the command, which makes a folder of the name where it is given no other."""
    done = stage(hub, "pull", "../../x")
    assert done.returncode == 2
    assert (
        done.stderr == "error: '../../x' is no name of a repository on the Hub; write OWNER/NAME.\n"
    )


def test_a_disk_that_refuses_is_not_taken_for_the_hub(hub, dataset, tmp_path):
    """The cache cannot be written: one sentence, and it names the file."""
    push(dataset, REPO)
    (tmp_path / "file").write_text("in the way")
    hub.environment["HF_HUB_CACHE"] = str(tmp_path / "file" / "cache")
    done = stage(hub, "pull", REPO, "--out", str(tmp_path / "out"))
    assert done.returncode == 2, done.stderr
    assert str(tmp_path / "file") in done.stderr
    assert "Hub" not in done.stderr


@pytest.mark.parametrize(
    "revision", ["../../x", "a/../../b", "/etc/passwd", "a//b", "", ".", "x\0", "a\nb"]
)
def test_a_revision_that_is_a_path_is_refused_before_anything_is_asked(hub, tmp_path, revision):
    refused(lambda: pull(REPO, revision, tmp_path / "out"), "is no revision")
    assert not hub.requests
    assert not (tmp_path / "out").exists()


def test_a_shard_that_is_no_parquet_does_not_stay(hub, dataset, tmp_path):
    """One without a hash of its own kind as well: nothing of it is left, and its next commit is
    fetched.
    """
    from toys.hub_stand_in import File

    push(dataset, REPO)
    good = hub.repos[KEY].commits[-1][1]
    hub.repos[KEY].commit("small", {**good, "play-00001.parquet": File(b"<html>", large=False)})
    refused(lambda: pull(REPO, "main", tmp_path / "out"), "play-00001.parquet", "no Parquet file")
    assert "play-00001.parquet" not in {path.name for path in (tmp_path / "out").rglob("*")}
    hub.repos[KEY].commit("mended", good)
    pull(REPO, "main", tmp_path / "out")
    assert list(read_episodes(tmp_path / "out")) == list(read_episodes(dataset))


def test_an_older_pull_is_left_as_it_was_by_one_that_fails(hub, dataset, tmp_path):
    """No file is removed before the new one is there."""
    push(dataset, REPO)
    pull(REPO, "main", tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    record(dataset, [3], shard=3)
    push(dataset, REPO)
    hub.faults.append(Fault("GET", "/resolve/", 200, body=b"<html>"))
    refused(lambda: pull(REPO, "main", tmp_path / "out"), "none that a Hub gives")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    hub.faults.clear()
    pull(REPO, "main", tmp_path / "out")
    assert list(read_episodes(tmp_path / "out")) == list(read_episodes(dataset))


def test_the_token_goes_to_the_hub_alone(hub, dataset, tmp_path, monkeypatch):
    """Large files lie on another host."""
    from toys import hub_stand_in

    large, seen = hub_stand_in.Handler.large, []

    def note(self, *arguments):
        seen.append((self.command, self.headers.get("Host"), self.headers.get("Authorization")))
        return large(self, *arguments)

    push(dataset, REPO)
    monkeypatch.setattr(hub_stand_in.Handler, "large", note)
    pull(REPO, "main", tmp_path / "out")
    assert [(command, token) for command, host, token in seen if host.startswith("localhost")] == [
        ("GET", None)
    ] * 3
    assert len(seen) == 3


def changed(info: dict, change: str) -> dict:
    """dataset_info.json with something wrong."""
    shards = {name: dict(shard) for name, shard in info["shards"].items()}
    one = shards["play-00001.parquet"]
    if change == "no game":
        return {key: value for key, value in info.items() if key != "game"} | {"shards": shards}
    if change == "game a list":
        return info | {"game": ["toy"]}
    if change == "shards a list":
        return info | {"shards": list(shards)}
    if change == "a shard a number":
        shards["play-00001.parquet"] = 3
    elif change == "a name with ..":
        shards["../../play-00007.parquet"] = one
    else:
        key, value = {
            "hash": ("sha256", 5),
            "episodes": ("episodes", "0, 1"),
            "an episode": ("episodes", [0, None]),
        }.get(change, ("rows", "many"))
        one[key] = value
    return info | {"shards": shards}


CHANGES = ["no game", "game a list", "shards a list", "a shard a number", "a name with .."]
CHANGES += ["hash", "episodes", "an episode", "rows"]


@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_info_on_the_hub_is_one_sentence(hub, dataset, tmp_path, change):
    """Whoever wrote it: nothing is pulled, and nothing added."""
    push(dataset, REPO)
    wrong = json.dumps(changed(json.loads(hub.files(KEY)[INFO_NAME]), change)).encode()
    commit = hub.put(KEY, {INFO_NAME: wrong})
    record(dataset, [5], shard=5)
    refused(lambda: pull(REPO, "main", tmp_path / "out"), INFO_NAME)
    assert not (tmp_path / "out").exists()
    refused(lambda: push(dataset, REPO), INFO_NAME)
    assert hub.repos[KEY].commits[-1][0] == commit
    refused(lambda: Recording(REPO, commit).reset(), INFO_NAME)
    refused(lambda: convert(REPO, commit, tmp_path / "converted", None), INFO_NAME)


@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_info_of_a_folder_is_one_sentence(hub, dataset, tmp_path, change):
    info = changed(describe(dataset), change)
    refused(lambda: card(REPO, info, preview=False), INFO_NAME)
    write_json(dataset / INFO_NAME, info)
    refused(lambda: push(dataset, REPO), INFO_NAME)
    assert not hub.repos
    refused(lambda: Recording(str(dataset)).reset(), INFO_NAME)


def test_a_card_of_a_dataset_without_its_shards_is_one_sentence(dataset):
    refused(lambda: card(REPO, read_json(dataset / INFO_NAME), preview=False), INFO_NAME)


@pytest.mark.parametrize(
    "kind", ["a link", "a link to nothing", "a link to a shard beside it", "a folder"]
)
def test_a_push_sends_nothing_from_elsewhere(hub, dataset, tmp_path, kind):
    """A link would share a file that its owner never meant."""
    path = dataset / "play-00007.parquet"
    if kind == "a folder":
        path.mkdir()
    else:
        elsewhere = record(tmp_path / "private", [9]) / "play-00000.parquet"
        path.symlink_to(
            {"a link": elsewhere, "a link to nothing": "nothing"}.get(
                kind, dataset / "play-00001.parquet"
            )
        )
    refused(lambda: push(dataset, REPO), "play-00007.parquet", "a dataset's own")
    assert not hub.repos


def test_a_shard_that_could_not_be_pulled_is_not_shared(hub, dataset):
    """Its name would be refused by everybody who asks for the dataset."""
    (dataset / "play-00001.parquet").rename(dataset / "my play.parquet")
    refused(lambda: push(dataset, REPO), "my play.parquet")
    assert not hub.repos


def test_a_shard_of_other_types_is_not_shared(hub, dataset):
    """Numbers of episodes are whole numbers, and every row has one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = dataset / "play-00001.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("episode_id")
    for column in (pa.nulls(len(table), pa.int64()), pa.array(["one"] * len(table))):
        pq.write_table(table.set_column(place, "episode_id", column), path)
        refused(lambda: push(dataset, REPO), "play-00001.parquet")
    pq.write_table(table.slice(0, 0), path)
    refused(lambda: push(dataset, REPO), "no rows")
    assert not hub.repos
