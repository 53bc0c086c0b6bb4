"""Frame metrics. Frames are uint8 [B, H, W, C]; errors are on [0, 1]; one value a frame comes back."""

import warnings
from urllib.error import URLError

import numpy as np
import torch
from skimage.metrics import structural_similarity

from dreamcart.evaluation.fidelity import gradient_energy

LPIPS_BATCH = 64
LPIPS_PIXELS = 64  # AlexNet cannot take much less: smaller frames are enlarged
MAX_PSNR = 100.0  # reported for equal frames, whose PSNR is infinite and would spoil a mean


Field = tuple[slice, slice]  # rows and columns of a frame


def frame_metrics(
    predicted: np.ndarray, true: np.ndarray, context: np.ndarray, field: Field | None = None
) -> dict[str, np.ndarray]:
    """l1, psnr (dB), ssim (scikit-image, data_range 255), exact (0 or 1), wrong_pixels, changed_l1 and sharpness, float64 [B] each.

    `wrong_pixels` is the share of pixels that differ in any channel, `field_wrong_pixels` that of the playfield's own where
    `field` tells where it is: the rest of most screens hardly changes.
    `changed_l1` is the L1 over pixels in which `true` differs from the last `context` frame; NaN where none
    does. `sharpness` is the gradient energy (`fidelity.gradient_energy`) of `predicted` over that of `true`: below 1 it is
    blurred, above noisy; NaN where `true` is of one colour.
    """
    error = np.abs(predicted.astype(np.float64) - true) / 255
    axes = (1, 2, 3)
    mse = np.square(error).mean(axes)
    changed = true != context
    count = changed.sum(axes)
    energy = [gradient_energy(frames).sum((1, 2), dtype=np.float64) for frames in (predicted, true)]
    with np.errstate(divide="ignore", invalid="ignore"):
        psnr = np.minimum(-10 * np.log10(mse), MAX_PSNR)
        changed_l1 = np.where(count > 0, (error * changed).sum(axes) / count, np.nan)
        sharpness = np.where(energy[1] > 0, energy[0] / energy[1], np.nan)
    exact = error.max(axes) == 0
    ssim = [
        1.0 if same else structural_similarity(p, t, channel_axis=2, data_range=255)
        for p, t, same in zip(predicted, true, exact, strict=True)
    ]
    wrong = error.any(3)
    report = {
        "l1": error.mean(axes),
        "psnr": psnr,
        "ssim": np.array(ssim),
        "exact": exact.astype(np.float64),
        "wrong_pixels": wrong.mean((1, 2)),
        "changed_l1": changed_l1,
        "sharpness": sharpness,
    }
    return report if field is None else report | {"field_wrong_pixels": wrong[:, *field].mean((1, 2))}


class Lpips:
    """Learned perceptual image patch similarity (Zhang et al. 2018, the `lpips` package, AlexNet).

    Attributes:
        key: "lpips", or "lpips_untrained" where AlexNet's weights cannot be had: a seeded random backbone
            with equal layer weights, a different number that must not go by the same name.
    """

    def __init__(self) -> None:
        import lpips

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.net = lpips.LPIPS(net="alex", verbose=False).eval()
                self.key = "lpips"
            except (URLError, OSError):
                torch.manual_seed(0)
                self.net = lpips.LPIPS(net="alex", pnet_rand=True, lpips=False, verbose=False).eval()
                self.key = "lpips_untrained"

    @torch.inference_mode()
    def __call__(self, predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
        """uint8 [B, H, W, C] twice → distance, float64 [B]; equal frames have none and are not looked at."""
        values = np.zeros(len(true))
        different = np.flatnonzero((predicted != true).any((1, 2, 3)))
        for first in range(0, len(different), LPIPS_BATCH):
            rows = different[first : first + LPIPS_BATCH]
            values[rows] = self.net(*(self._planes(x[rows]) for x in (predicted, true))).flatten().double().numpy()
        return values

    @staticmethod
    def _planes(frames: np.ndarray) -> torch.Tensor:
        planes = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 127.5 - 1
        enlarge = -(-LPIPS_PIXELS // min(planes.shape[2:]))
        if enlarge > 1:
            planes = planes.repeat_interleave(enlarge, 2).repeat_interleave(enlarge, 3)
        return planes.expand(-1, 3, -1, -1)
