"""Export to Minari: its own loader opens it, its spaces hold what is in it, and no pixel is
lost.
"""

import subprocess
import sys

import numpy as np
import pytest
from toys.synthetic import assert_sentence, make_rows, write_raw

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.data.images import decode_image
from dreamcart.data.reader import read_episodes
from dreamcart.record.minari import INSTALL, export


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return write_raw(tmp_path / "play", [make_rows(n, 5 + n, first=n) for n in range(3)])


def test_what_was_exported_opens_in_minari(dataset):
    """Every frame, action, reward and end, by minari.load_dataset and checked against its
    spaces.
    """
    minari = pytest.importorskip("minari", reason=f"Minari is optional: {INSTALL}")
    export(dataset)
    loaded = minari.load_dataset("dreamcart/toy-v0")
    assert (loaded.total_episodes, loaded.total_steps) == (3, 15)
    assert loaded.observation_space.shape == (24, 32, 3)
    for rows, episode in zip(read_episodes(dataset), loaded.iterate_episodes(), strict=True):
        assert len(episode.observations) == len(episode.actions) + 1 == len(rows)
        assert all(map(loaded.observation_space.contains, episode.observations))
        assert all(map(loaded.action_space.contains, episode.actions))
        np.testing.assert_array_equal(
            episode.observations, [decode_image(row["observations"]["bytes"]) for row in rows]
        )
        np.testing.assert_array_equal(episode.actions, [row["actions"] for row in rows[:-1]])
        for name in ("rewards", "terminations", "truncations"):
            np.testing.assert_array_equal(getattr(episode, name), [row[name] for row in rows[:-1]])
        np.testing.assert_array_equal(episode.infos["x"], range(len(rows)))
    assert loaded.sample_episodes(2)


def test_the_command_and_a_name_that_is_taken(dataset, tmp_path):
    pytest.importorskip("minari", reason=f"Minari is optional: {INSTALL}")
    command = [
        sys.executable,
        str(ROOT / "stages" / "record.py"),
        "minari",
        str(dataset),
        "--id",
        "mine/other-v3",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "3 episodes, 15 steps: minari.load_dataset('mine/other-v3')" in done.stdout
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "mine/other-v3 already" in again.stderr


def test_bad_names_and_frames_are_refused(tmp_path, dataset):
    """And no half-made dataset stays."""
    pytest.importorskip("minari", reason=f"Minari is optional: {INSTALL}")
    with pytest.raises(UserError, match="no Minari name") as caught:
        export(dataset, "no version")
    assert_sentence(caught.value)
    with pytest.raises(UserError, match="no Minari name"):
        export(dataset, "k/k-v0")  # Minari wants a group of two letters
    mixed = write_raw(tmp_path / "mixed", [make_rows(0, 4), make_rows(1, 4, shape=(16, 16))])
    with pytest.raises(UserError, match="another shape") as caught:
        export(mixed)
    assert_sentence(caught.value)
    assert not list((tmp_path / "minari").glob("**/metadata.json"))


def test_without_minari_the_message_says_how_to_get_it(dataset, monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(UserError, match=r"minari\[arrow\]") as caught:
        export(dataset)
    assert_sentence(caught.value)
