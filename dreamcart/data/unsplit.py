"""Opens recordings as one split: those of the test, and streams that a dream is compared with."""

from pathlib import Path

from dreamcart.data.preprocess import SplitWriter
from dreamcart.data.processed import Split, open_frames
from dreamcart.data.reader import dataset_spec, read_episodes
from dreamcart.data.tiled import write_tiles
from dreamcart.params import PreprocessConfig


def load_unsplit(raw: Path, config: PreprocessConfig, scratch: Path) -> Split:
    """Process all episodes of a raw dataset into `scratch`, as training frames are, and open them.

    Raises UserError on data that is damaged or foreign, and where what was written does not fit
    together.
    """
    spec = dataset_spec(raw)
    writer = SplitWriter(scratch / "test", config, spec.buttons)
    for number, episode in enumerate(read_episodes(raw, ["observations", "actions"])):
        writer.add(number, episode)
    index = writer.close()
    if config.tile:
        write_tiles(scratch / "tiles.npy", writer.store)
    return Split(open_frames(scratch, "test", config.tile > 0), index, spec)
