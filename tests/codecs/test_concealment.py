"""Our own concealment: least squares as numpy finds it, the formula by hand, and the codec ``scr-mca-plus``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.concealment import ResidualConcealment, load_concealment, save_concealment
from netcodecs.progressive.family import MbtMean, ScrMcaPlus
from netcodecs.progressive.weights import load_weights, save_weights
from netcodecs.training.fit_concealment import compare, fit_concealment, table
from netcodecs.weight_files import read_weights, write_weights
from skimage import data
from torch import Tensor

from netsim.codec import Image, OperatingPoint
from netsim.conformance import check_codec
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db

IMAGE: Image = np.ascontiguousarray(data.coffee()[100:228, 200:328])
POINT = OperatingPoint("quality", 2)


def test_taps_are_numpys_least_squares() -> None:
    """A field in which a sample follows its left neighbour, a fifth of it lost."""
    rng = np.random.default_rng(0)
    residual = rng.normal(size=(1, 2, 60, 60))
    for column in range(1, 60):
        residual[:, 0, :, column] += 0.8 * residual[:, 0, :, column - 1]
    mask = (rng.random(residual.shape) > 0.2).astype(float)
    made = ResidualConcealment(2)
    made.fit([(torch.from_numpy(residual).float(), torch.from_numpy(mask).float())])
    padded = np.pad(residual * mask, ((0, 0), (0, 0), (1, 1), (1, 1)))
    places = [(row, column) for row in range(3) for column in range(3) if (row, column) != (1, 1)]
    for channel in range(2):
        near = np.stack([padded[0, channel, r : r + 60, c : c + 60].ravel() for r, c in places], 1)
        expected = np.linalg.lstsq(near, residual[0, channel].ravel(), rcond=None)[0]
        found = made.taps[channel, 0].numpy()
        assert found[1, 1] == 0
        assert [found[r, c] for r, c in places] == pytest.approx(expected, abs=0.02)
    assert made.taps[0, 0, 1, 0] > 0.3
    assert made.taps[1].abs().max() < 0.1


def test_a_missing_sample_is_the_mean_and_a_share_of_received_residuals() -> None:
    made = ResidualConcealment(1)
    made.taps[0, 0] = torch.tensor([[0.0, 0.5, 0.0], [0.25, 0.0, 0.125], [0.0, 0.0, 0.0]])
    latent = torch.tensor([[[[0.0, 9.0, 0.0], [4.0, 99.0, 77.0]]]])
    means = torch.tensor([[[[0.0, 5.0, 0.0], [2.0, 1.0, 3.0]]]])
    mask = torch.tensor([[[[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]]])
    shown = made(latent, mask, means)
    assert shown[0, 0, 1, 1] == 1 + 0.5 * (9 - 5) + 0.25 * (4 - 2)  # the neighbour to the right is missing, too
    assert torch.equal(shown[mask > 0], latent[mask > 0])


@pytest.fixture(scope="module")
def files(started: Backbone, crops: Tensor, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The baseline's weights, and a concealment fitted to them."""
    folder = tmp_path_factory.mktemp("plus")
    save_weights(folder / "mbt-mean.safetensors", started, "mbt-mean")
    stored = load_weights(folder / "mbt-mean.safetensors")[0]
    save_concealment(folder / "plus.safetensors", fit_concealment(stored, crops), stored)
    return folder / "mbt-mean.safetensors", folder / "plus.safetensors"


def plus(files: tuple[Path, Path]) -> ScrMcaPlus:
    return ScrMcaPlus(ScrMcaPlus.Settings(weights=files[0], concealment=files[1]))


@pytest.mark.slow
def test_the_codec_keeps_the_contract(files: tuple[Path, Path]) -> None:
    results = check_codec(plus(files), [IMAGE[:64, :70]], [POINT])
    assert [f"{r.name}: {r.detail}" for r in results if not r.passed] == []


def test_without_loss_the_image_is_the_baselines_and_with_loss_fitted_taps_are_better_than_none(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Mean PSNR over losses of one packet: fitted taps, taps of zero (means alone), and zeros for missing samples."""
    save_concealment(tmp_path / "none.safetensors", ResidualConcealment(192), load_weights(files[0])[0])
    codecs = {"fitted": plus(files), "means": plus((files[0], tmp_path / "none.safetensors"))}
    codecs["zeros"] = MbtMean(MbtMean.Settings(weights=files[0]))  # type: ignore[assignment]
    quality: dict[str, np.ndarray] = {}
    for name, codec in codecs.items():
        stream = codec.encode(IMAGE, POINT, 120)
        droppable = np.flatnonzero(~stream.protected)
        masks = np.ones((1 + len(droppable), len(stream)), bool)
        masks[np.arange(1, len(masks)), droppable] = False
        quality[name] = psnr_db(IMAGE, codec.decode(stream, masks))
    assert quality["fitted"][0] == pytest.approx(quality["zeros"][0], abs=0.01)
    lossy = {name: values[1:].mean() for name, values in quality.items()}
    assert lossy["fitted"] > lossy["means"] > lossy["zeros"]


def test_the_comparison_has_both_methods_under_the_same_losses(files: tuple[Path, Path], crops: Tensor) -> None:
    rows = compare(
        files[0], load_concealment(files[1], 192, load_weights(files[0])[0]), crops[:4], [IMAGE, IMAGE[::-1]]
    )
    assert [row.lam for row in rows] == [0.0018, 0.0067]
    for row in rows:
        assert (row.whole > row.plus).all()
        assert (row.whole > row.start).all()
    assert table(rows).count("dB") == 6


def test_another_concealment_is_another_codec_and_a_faulty_file_is_refused(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    codec = plus(files)
    other = tmp_path / "other.safetensors"
    save_concealment(other, ResidualConcealment(192), load_weights(files[0])[0])
    assert plus((files[0], other)).fingerprint != codec.fingerprint
    assert set(codec.input_files.values()) == set(files)
    with pytest.raises(InputError, match="no concealment at"):
        plus((files[0], tmp_path / "absent"))
    with pytest.raises(InputError, match="holds no concealment of 192 channels"):
        plus((files[0], files[0])).encode(IMAGE, POINT)


@pytest.mark.parametrize(
    "part", ["g_a.0.bias", "log_gain", "hyper.analysis.inputs.bias", "hyper.synthesis.outputs.bias"]
)
def test_beside_another_analysis_or_hyperprior_a_concealment_is_refused(
    files: tuple[Path, Path], tmp_path: Path, part: str
) -> None:
    """What comes behind the latent may change."""
    tensors, facts = read_weights(files[0])
    other = tmp_path / "mbt-mean.safetensors"
    write_weights(other, _added(tensors, "g_s.0.bias", "log_inverse_gain", "hyper.prior.means"), facts)
    plus((other, files[1])).encode(IMAGE[:64, :64], POINT)
    write_weights(other, _added(tensors, part), facts)
    with pytest.raises(
        InputError, match=r"plus\.safetensors was fitted to an analysis or a hyperprior of other"
    ) as caught:
        plus((other, files[1])).encode(IMAGE[:64, :64], POINT)
    assert "fit_concealment" in caught.value.hint


def _added(tensors: Mapping[str, Tensor], *names: str) -> dict[str, Tensor]:
    """Stored tensors, some of them changed."""
    return {**tensors, **{name: tensors[name] + 0.25 for name in names}}


def test_a_concealment_that_names_no_network_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    write_weights(tmp_path / "plus.safetensors", read_weights(files[1])[0], {"concealment_of": files[0].name})
    with pytest.raises(InputError, match="was fitted to"):
        plus((files[0], tmp_path / "plus.safetensors")).encode(IMAGE[:64, :64], POINT)


def test_the_concealment_that_ships_fits_the_weights_that_ship() -> None:
    """Better than means alone on a photograph: a fit to other weights would not be."""
    codec = ScrMcaPlus()
    stream = codec.encode(IMAGE, POINT, 200)
    droppable = np.flatnonzero(~stream.protected)
    masks = np.ones((len(droppable), len(stream)), bool)
    masks[np.arange(len(droppable)), droppable] = False
    fitted = psnr_db(IMAGE, codec.decode(stream, masks)).mean()
    codec._networks.transforms._backbone.concealment.taps.zero_()  # type: ignore[union-attr]
    assert fitted > psnr_db(IMAGE, codec.decode(stream, masks)).mean()
