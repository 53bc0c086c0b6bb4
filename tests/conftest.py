"""Settings for every test: one thread, the CPU, and no network."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["DREAMCART_DEVICE"] = "cpu"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["SDL_VIDEODRIVER"] = "dummy"
os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"

import pytest

# Files whose tests take more than some six seconds together: `make fast` leaves them out.
# fmt: off
SLOW = {
    "ale", "arguments", "atari_readers", "blockfall_rules", "branches", "cart", "carts", "collect",
    "convert", "counterexamples", "coverage", "emberling_bot", "emberling_enemies",
    "emberling_picture", "emberling_reader", "emberling_rules", "errors", "evaluation",
    "explore_script", "export", "families", "foreign", "foreign_source", "fuzz", "games", "hub",
    "hub_nonsense", "league", "measures", "motion", "new", "pipeline", "play", "pretrained",
    "record", "reports", "representations", "roadmap", "room", "side_by_side", "titles", "training",
    "trust", "verify", "watch",
}
# fmt: on


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow files."""
    for item in items:
        if item.path.stem.removeprefix("test_") in SLOW:
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def no_own_keys(tmp_path, monkeypatch):
    """The keys of whoever runs the tests are not theirs."""
    monkeypatch.setattr("dreamcart.play.bindings.FILE", tmp_path / "keys.yaml")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub on 127.0.0.1, in place of the real one for this process; waiting between tries takes no
    time.

    `hub.environment` is what a subprocess needs to see it, `hub.waits` the seconds that were
    waited.
    """
    import datasets.config
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session
    from toys.hub_stand_in import TOKEN, HubStandIn

    environment = {"HF_HUB_OFFLINE": "0", "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "hf")}
    environment |= {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
    }
    with HubStandIn() as stand_in:
        stand_in.environment = {**os.environ, **environment, "HF_ENDPOINT": stand_in.url}
        stand_in.waits = []
        for name in ("HF_TOKEN", "HF_HOME"):
            monkeypatch.setenv(name, environment[name])
        changes = {"HF_HUB_OFFLINE": False, "ENDPOINT": stand_in.url}
        changes |= {"HF_HUB_CACHE": str(tmp_path / "hf" / "hub"), "HF_HOME": str(tmp_path / "hf")}
        changes["HUGGINGFACE_CO_URL_TEMPLATE"] = (
            stand_in.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        for name, value in changes.items():
            monkeypatch.setattr(constants, name, value)
        for name, value in {
            "HF_HUB_OFFLINE": False,
            "HF_ENDPOINT": stand_in.url,
            "HF_UPDATE_DOWNLOAD_COUNTS": False,
        }.items():
            monkeypatch.setattr(datasets.config, name, value)
        monkeypatch.setattr("time.sleep", stand_in.waits.append)
        close_session()
        yield stand_in
        close_session()
