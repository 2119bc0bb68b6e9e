"""CompressAI's models as codecs: contract, CompressAI's own rate and images, determinism, ladders, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.compressai_import import compressai
from netcodecs.zoo.autoregressive import wavefronts
from netcodecs.zoo.channels import Mbt2018Mean
from netcodecs.zoo.checkpoints import load_model
from netcodecs.zoo.ladder import LadderCodec
from netcodecs.zoo.networks import PADDED
from netcodecs.zoo.sequential import Mbt2018
from netcodecs.zoo.sliced import Elic
from pydantic import ValidationError

from netsim.codec import OperatingPoint, create_codec
from netsim.conformance import check_codec, checks
from netsim.conformance.new_process import digest
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db
from tests.codecs.zoo.conftest import CODECS, IMAGE, as_tensor, small_model

Make = Callable[..., LadderCodec]
POINT = OperatingPoint("quality", 1)


@pytest.mark.parametrize("name", CODECS)
def test_every_codec_keeps_the_contract(name: str, codec_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the new process, which takes seconds to load torch: the test below has it."""
    monkeypatch.setattr(checks, "packets_elsewhere", lambda case: digest(case.stream))
    results = check_codec(codec_of(name), [IMAGE[:60, :70]], [POINT])
    assert [f"{r.name}: {r.detail}" for r in results if not r.passed] == []


@pytest.mark.slow
def test_elic_with_all_packets_needed_keeps_the_contract(codec_of: Make) -> None:
    results = check_codec(codec_of("elic", receiver="all"), [IMAGE[:64, :64]], [POINT])
    assert [f"{r.name}: {r.detail}" for r in results if not r.passed] == []


@pytest.mark.parametrize("name", CODECS)
def test_rate_and_image_are_those_of_compressai(name: str, codec_of: Make) -> None:
    """CompressAI's own ``compress`` and ``decompress`` of the same model are the oracle."""
    codec, model = codec_of(name), small_model(name)
    model.update()
    with torch.no_grad():
        theirs = model.compress(as_tensor(IMAGE))
        shown = model.decompress(**{key: theirs[key] for key in ("strings", "shape")})["x_hat"]
    stream = codec.encode(IMAGE, POINT)
    (image,) = codec.decode(stream, np.ones((1, len(stream)), bool))
    their_bytes = sum(len(string) for strings in theirs["strings"] for string in strings)
    overhead = 16 * len(stream) + 20  # size, quality, checksums, a coder's start in each packet
    assert their_bytes * 0.98 - 16 < stream.bytes_total < their_bytes * 1.02 + overhead
    reference = shown[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    assert psnr_db(reference, image[np.newaxis])[0] > 50


@pytest.mark.parametrize("name", CODECS)
def test_bytes_and_latents_do_not_depend_on_the_number_of_threads(name: str, codec_of: Make) -> None:
    streams = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        streams.append(codec_of(name).encode(IMAGE, POINT).packets)
    assert streams[0] == streams[1]


def test_positions_of_a_wavefront_read_no_position_of_their_own_wavefront_or_a_later_one() -> None:
    """By brute force over the 5×5 context of every position."""
    done: set[tuple[int, int]] = set()
    for rows, columns in wavefronts(6, 9):
        here = set(zip(rows.tolist(), columns.tolist(), strict=True))
        for row, column in here:
            context = {(row + r, column + c) for r in (-2, -1) for c in range(-2, 3)}
            context |= {(row, column - 2), (row, column - 1)}
            inside = {(r, c) for r, c in context if r >= 0 and 0 <= c < 9}
            assert inside <= done
        assert not here & done
        done |= here
    assert len(done) == 54


def test_a_lost_channel_packet_changes_the_image_and_a_lost_mean_is_nearer(codec_of: Make) -> None:
    """mbt2018-mean with means far from zero: the entropy model's mean is the better guess."""
    codec = codec_of("mbt2018-mean", lost="mean")
    stream = codec.encode(IMAGE, POINT)
    masks = np.ones((3, len(stream)), bool)
    masks[1, 1:] = stream.protected[1:]
    masks[2, -1] = False
    whole, none, one = codec.decode(stream, masks)
    zero = codec_of("mbt2018-mean").decode(stream, masks[1:2])[0]
    assert not np.array_equal(whole, one)
    assert not np.array_equal(none, zero)


def test_the_packets_of_a_hyperprior_model_are_near_equal_and_keep_a_limit(codec_of: Make) -> None:
    codec = codec_of("mbt2018-mean", packets=4)
    stream = codec.encode(IMAGE, POINT)
    assert stream.protected.tolist() == [True, False, False, False, False]
    sizes = stream.sizes_bytes[1:]
    assert sizes.max() < 1.6 * sizes.min()
    limited = codec.encode(IMAGE, POINT, 40)  # smaller than a channel: cut by rows
    assert limited.sizes_bytes.max() <= 40
    full = np.ones((1, len(limited)), bool)
    assert np.array_equal(codec.decode(limited, full), codec.decode(stream, np.ones((1, 5), bool)))


def test_elic_shows_the_slices_before_the_first_loss(codec_of: Make) -> None:
    codec = codec_of("elic")
    stream = codec.encode(IMAGE, POINT)
    assert len(stream) == 11
    masks = np.ones((3, 11), bool)
    masks[1, 4] = False
    masks[2, [4, 7]] = False
    usable = codec.usable(stream, masks)
    assert usable.sum(axis=1).tolist() == [11, 4, 4]
    images = codec.decode(stream, masks)
    assert np.array_equal(images[1], images[2])
    assert not np.array_equal(images[0], images[1])


def test_elic_cuts_a_slice_into_packets_where_there_is_a_limit_and_uses_whole_slices_only(codec_of: Make) -> None:
    codec = codec_of("elic")
    stream, limited = codec.encode(IMAGE, POINT), codec.encode(IMAGE, POINT, 40)
    assert limited.sizes_bytes.max() <= 40
    assert len(limited) > len(stream)
    masks = np.ones((2, len(limited)), bool)
    masks[1, -1] = False
    whole, without_last = codec.decode(limited, masks)
    expected = np.ones((2, len(stream)), bool)
    expected[1, -1] = False
    assert np.array_equal([whole, without_last], codec.decode(stream, expected))
    headers = int(limited.protected.sum())
    first_lost = np.ones((1, len(limited)), bool)
    first_lost[0, headers] = False  # the first slice's first packet: nothing but the header is left
    assert codec.usable(limited, first_lost).sum() == headers


def test_elic_fills_missing_slices_with_predicted_means(codec_of: Make) -> None:
    """With the hyperprior alone, the latent is what decoding only zero symbols gives."""
    codec = codec_of("elic")
    stream = codec.encode(IMAGE, POINT)
    networks = codec.networks(1)
    hyper_symbols = networks.encode(IMAGE)[0]
    latent = networks.decode([], hyper_symbols)
    header_only = np.zeros((1, len(stream)), bool)
    header_only[0, 0] = True
    assert np.array_equal(codec.decode(stream, header_only), networks.synthesise(latent[np.newaxis], 64, 128))
    assert np.abs(latent).sum() > 0


def test_the_other_elic_of_compressai_loads_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = compressai.models.Elic2022Chandelier(N=8, M=20, groups=[2, 2, 4, 4, 8])
    torch.save(model.state_dict(), tmp_path / "chandelier.pth")
    codec = Elic(Elic.Settings(weights=tmp_path / "chandelier.pth"))
    stream = codec.encode(IMAGE, POINT)
    model.update()
    with torch.no_grad():
        theirs = model.eval().compress(as_tensor(IMAGE))
    assert codec.decode(stream, np.ones((1, 11), bool)).shape == (1, 64, 128, 3)
    their_bytes = sum(len(string) for strings in theirs["strings"] for string in strings)
    assert abs(stream.bytes_total - their_bytes) < 0.03 * their_bytes + 200


@pytest.fixture(scope="module")
def rungs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Checkpoints of mbt2018 whose latents have more and more spread: more and more bits."""
    folder = tmp_path_factory.mktemp("ladder")
    made = tuple(folder / f"{quality}.pth" for quality in (1, 2, 3))
    for path, spread in zip(made, (1.5, 3.0, 6.0), strict=True):
        torch.save({"epoch": 3, "state_dict": small_model("mbt2018", spread=spread).state_dict()}, path)
    return made


def test_a_ladder_has_a_checkpoint_for_each_quality_and_bpp_takes_the_nearest(rungs: tuple[Path, ...]) -> None:
    codec = Mbt2018(Mbt2018.Settings(weights=rungs))
    rates = {quality: codec.encode(IMAGE, OperatingPoint("quality", quality)).bpp for quality in (1, 2, 3)}
    assert rates[1] < rates[2] < rates[3]
    for quality, rate in rates.items():
        assert codec.encode(IMAGE, OperatingPoint("bpp", rate * 1.02)).made_by["quality"] == quality
    with pytest.raises(InputError, match="no checkpoint of quality 4") as caught:
        codec.encode(IMAGE, OperatingPoint("quality", 4))
    assert "1, 2, 3" in caught.value.hint
    with pytest.raises(InputError, match="can't be reached"):
        codec.encode(IMAGE, OperatingPoint("bpp", rates[1] / 2))


def test_the_contents_of_every_checkpoint_decide_what_is_remembered(rungs: tuple[Path, ...], tmp_path: Path) -> None:
    codec = Mbt2018(Mbt2018.Settings(weights=rungs))
    assert set(codec.input_files.values()) == set(rungs)
    other = tmp_path / "2.pth"
    torch.save(small_model("mbt2018", seed=1).state_dict(), other)
    changed = Mbt2018(Mbt2018.Settings(weights=(rungs[0], other, rungs[2])))
    assert codec.fingerprint["weights"] != changed.fingerprint["weights"]


def test_settings_survive_the_way_through_plain_values(rungs: tuple[Path, ...]) -> None:
    """A plan holds settings as JSON has them."""
    codec = Mbt2018(Mbt2018.Settings(weights=rungs))
    plain = codec.settings.model_dump(mode="json")
    assert Mbt2018.Settings(**plain) == codec.settings


def test_without_a_checkpoint_the_refusal_says_how_to_get_one() -> None:
    with pytest.raises(InputError, match="mbt2018 needs a checkpoint") as caught:
        Mbt2018()
    assert "from compressai.zoo import mbt2018" in caught.value.hint
    assert "pretrained=True" in caught.value.hint
    with pytest.raises(InputError, match="elic needs a checkpoint") as caught:
        Elic()
    assert "train elic2022 with CompressAI" in caught.value.hint


def test_the_function_that_the_refusal_names_is_compressais() -> None:
    import compressai.zoo

    for kind in CODECS.values():
        assert not kind.pretrained or callable(getattr(compressai.zoo, kind.pretrained))


def test_wrong_checkpoints_are_refused_in_one_sentence(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    def refused(path: Path) -> InputError:
        with pytest.raises(InputError) as caught:
            Mbt2018(Mbt2018.Settings(weights=path)).encode(IMAGE, POINT)
        return caught.value

    assert "no checkpoint at" in refused(tmp_path / "absent.pth").message
    assert "holds no mbt2018 of CompressAI" in refused(checkpoints["mbt2018-mean"]).message
    assert "holds no mbt2018 of CompressAI" in refused(checkpoints["elic"]).message
    (tmp_path / "text.pth").write_text("no checkpoint")
    assert "can't be read as a checkpoint" in refused(tmp_path / "text.pth").message
    (tmp_path / "text.safetensors").write_text("no checkpoint")
    assert "is not a safetensors file" in refused(tmp_path / "text.safetensors").message
    state = small_model("mbt2018").state_dict()
    state["g_a.0.bias"][0] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    assert "`g_a.0.bias` is not finite" in refused(tmp_path / "nan.pth").message


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="can't be read as a checkpoint"):
        load_model("mbt2018", tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("weights", "words"), [([], "a list of 1 to 63 files"), (5, "a file, or"), ([5], "its path")])
def test_weights_that_are_no_files_are_refused_at_their_key(weights: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words) as caught:
        Mbt2018Mean.Settings(weights=weights)
    assert [error["loc"] for error in caught.value.errors()] == [("weights",)]


def test_a_damaged_bitstream_is_refused_before_the_native_decoder_sees_it(codec_of: Make) -> None:
    codec = codec_of("mbt2018")
    stream = codec.encode(IMAGE, POINT)
    payload = bytearray(stream.packets[5].payload)
    payload[0] ^= 1
    packets = (*stream.packets[:5], replace(stream.packets[5], payload=bytes(payload)), *stream.packets[6:])
    with pytest.raises(InputError, match="damaged payload"):
        codec.decode(replace(stream, packets=packets), np.ones((1, len(packets)), bool))


def test_the_distribution_names_every_codec_of_the_zoo() -> None:
    import tomllib
    from importlib import import_module

    root = Path(__file__).parents[3]
    points = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"]["netsim.codecs"]
    for name, kind in CODECS.items():
        module, _, attribute = points[name].partition(":")
        assert getattr(import_module(module), attribute) is kind


def test_padding_is_a_multiple_that_every_model_takes() -> None:
    model = small_model("mbt2018")
    assert PADDED % model.downsampling_factor == 0


def test_an_unknown_setting_is_told_with_the_nearest() -> None:
    from netsim import registry

    if "mbt2018" not in registry.plugin_names("codec"):
        registry.register("codec")(Mbt2018)
    with pytest.raises(InputError, match="no setting `weight`") as caught:
        create_codec("mbt2018", {"weight": "a.pth"})
    assert "weights" in caught.value.hint
