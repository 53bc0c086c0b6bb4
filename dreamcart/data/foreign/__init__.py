"""Datasets that other tools made, read as `ExternalDataset` reads Hugging Face's.

One module a format. Nothing that is read is executed, no pickle is opened, and no file outside of
the dataset's folder is read, whatever a link or a name in it says.
"""

from pathlib import Path

from dreamcart.core.errors import UserError
from dreamcart.data.foreign.base import ForeignDataset
from dreamcart.data.foreign.files import found
from dreamcart.data.foreign.frames import FrameFolder, has_frames
from dreamcart.data.foreign.hdf5 import SUFFIXES as HDF5
from dreamcart.data.foreign.hdf5 import Hdf5Folder
from dreamcart.data.foreign.lerobot import LeRobotFolder, has_lerobot
from dreamcart.data.foreign.minari_files import MinariFolder, minari_data
from dreamcart.data.foreign.video import SUFFIXES as VIDEO
from dreamcart.data.foreign.video import VideoFolder
from dreamcart.data.schema import INFO_NAME

OURS = (INFO_NAME, "state.json", "dataset_dict.json")  # what `ExternalDataset` reads
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".npy", ".npz")


def open_foreign(folder: Path) -> ForeignDataset | None:
    """Open a dataset of another tool; None where its files are those of `ExternalDataset`.

    Raises:
        UserError: nothing in the folder is of a known format, or what is there cannot be read.
    """
    if has_lerobot(folder):
        return LeRobotFolder(folder)
    if minari_data(folder) is not None:
        return MinariFolder(folder)
    if any((folder / name).is_file() for name in OURS) or found(folder, (".parquet",)):
        return None
    if found(folder, HDF5):
        return Hdf5Folder(folder)
    if found(folder, VIDEO):
        return VideoFolder(folder)
    if has_frames(folder):
        return FrameFolder(folder)
    pickles = found(folder, PICKLES)
    if pickles:
        raise UserError(
            f"{pickles[0]} may hold Python objects, which can run programs when they are read, so"
            " Dreamcart does not open it; write the dataset as hdf5, or as PNG frames with a CSV."
        )
    raise UserError(
        f"Cannot read the dataset {folder}: it holds neither Parquet files nor what `save_to_disk`"
        " writes, no frames or videos with a CSV, and no files of Minari, DIAMOND or LeRobot; name"
        " another folder."
    )
