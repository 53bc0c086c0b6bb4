"""Frame metrics.

Frames are uint8 [B, H, W, C]; errors are on [0, 1]; one value a frame comes back.
"""

import warnings

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import nn

from dreamcart.core.pretrained import load_features
from dreamcart.evaluation.fidelity import gradient_energy

LPIPS_BATCH = 16  # frames looked at at once: of more, the layers do not fit the processor's cache
LPIPS_PIXELS = 64  # of the shorter side, at least
MAX_PSNR = 100.0  # reported for equal frames, whose PSNR is infinite and would spoil a mean


Field = tuple[slice, slice]  # rows and columns of a frame


def frame_metrics(
    predicted: np.ndarray, true: np.ndarray, context: np.ndarray, field: Field | None = None
) -> dict[str, np.ndarray]:
    """l1, psnr (dB), ssim (scikit-image, data_range 255), exact (0 or 1), wrong_pixels, changed_l1
    and sharpness, float64 [B] each.

    `wrong_pixels` is the share of pixels that differ in any channel, `field_wrong_pixels` that of
    the playfield's own where `field` tells where it is: the rest of most screens hardly changes.
    `changed_l1` is the L1 over pixels in which `true` differs from the last `context` frame; NaN
    where none does. `sharpness` is the gradient energy (`fidelity.gradient_energy`) of `predicted`
    over that of `true`: below 1 it is blurred, above noisy; NaN where `true` is of one colour.
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
    return (
        report if field is None else report | {"field_wrong_pixels": wrong[:, *field].mean((1, 2))}
    )


class Lpips:
    """Learned perceptual image patch similarity (Zhang et al. 2018), version 0.1 with AlexNet.

    Frames of one channel are shown as three equal ones. AlexNet cannot take frames under 32 pixels:
    those whose shorter side is under LPIPS_PIXELS are enlarged by the least whole factor that
    brings it there, every pixel becoming a square. All in float32 on the CPU, whatever device the
    dream is on.
    """

    def __init__(self, alexnet: nn.Module) -> None:
        """Put `alexnet`, of `pretrained.load_features`, into the `lpips` package's network."""
        import lpips

        # the package draws random weights, which are replaced here
        with warnings.catch_warnings(), torch.random.fork_rng([]):
            warnings.simplefilter("ignore")
            self.net = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
        weights = alexnet.state_dict()
        slices = self.net.net.state_dict()  # named "slice1.0.weight": 0 is the layer's number
        self.net.net.load_state_dict({name: weights[name.partition(".")[2]] for name in slices})
        self.net = self.net.eval().to(memory_format=torch.channels_last)
        self.unit = lpips.normalize_tensor

    @torch.inference_mode()
    def __call__(self, pictures: dict[str, np.ndarray], true: np.ndarray) -> dict[str, np.ndarray]:
        """Measure how far several pictures of each true frame are from it.

        Equal ones have the distance 0 and are not looked at; a true frame is looked at once for
        all.

        Args:
            pictures: {name: uint8 [B, H, W, C]}; true: uint8 [B, H, W, C].

        Returns:
            {name: float64 [B]}.
        """
        values = {name: np.zeros(len(true)) for name in pictures}
        differs = {name: (frames != true).any((1, 2, 3)) for name, frames in pictures.items()}
        rows = np.flatnonzero(np.any(list(differs.values()), axis=0))
        for first in range(0, len(rows), LPIPS_BATCH):
            some = rows[first : first + LPIPS_BATCH]
            wanted = self._features(true[some])
            for name, frames in pictures.items():
                here = np.flatnonzero(differs[name][some])
                if len(here):
                    at = some[here]
                    values[name][at] = self._distance(
                        self._features(frames[at]), [layer[here] for layer in wanted]
                    )
        return values

    def _features(self, frames: np.ndarray) -> list[torch.Tensor]:
        """Unit vectors in every place, [B, K, h, w] a layer; B is 1 where all frames are one."""
        if (frames == frames[:1]).all():
            frames = frames[:1]
        planes = (
            torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 127.5 - 1
        )
        times = -(-LPIPS_PIXELS // min(planes.shape[2:]))
        if times > 1:
            planes = planes.repeat_interleave(times, 2).repeat_interleave(times, 3)
        planes = self.net.scaling_layer(planes.expand(-1, 3, -1, -1)).contiguous(
            memory_format=torch.channels_last
        )
        return [self.unit(layer) for layer in self.net.net(planes)]

    def _distance(self, found: list[torch.Tensor], wanted: list[torch.Tensor]) -> np.ndarray:
        layers = zip(self.net.lins, found, wanted, strict=True)
        return (
            sum(linear((one - other).square()).mean((1, 2, 3)) for linear, one, other in layers)
            .double()
            .numpy()
        )


def make_lpips() -> Lpips | None:
    """Make the measure, where AlexNet's weights are here: no stand-in goes by that name.

    Raises UserError where their file is damaged.
    """
    alexnet = load_features("alexnet")
    return None if alexnet is None else Lpips(alexnet)
