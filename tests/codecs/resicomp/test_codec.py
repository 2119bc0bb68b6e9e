"""``resicomp`` in packets: contract in all modes, losses, damage, rates, own matrices, settings."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.common import devices
from netcodecs.resicomp import betas
from netcodecs.resicomp.codec import BETA, ResiComp, ResiCompSettings, _loaded, usual_beta
from netcodecs.resicomp.mixture import log_likelihood
from netcodecs.resicomp.modes import MODES, context_matrix, decoding_passes
from netcodecs.resicomp.networks import Networks
from netcodecs.resicomp.packets import (
    ResiCompHeader,
    read_header,
    read_slice,
    verify_checksums,
    write_header,
    write_slice,
)
from netcodecs.resicomp.rate_control import RATE_TOLERANCE, SliceEncoder, layout_of, predicted_slices
from netcodecs.resicomp.token_coder import TokenCoder
from netcodecs.resicomp.token_context import TokenContext
from netcodecs.resicomp.weights import load_weights
from netcodecs.transforms.gains import lambda_of
from numpy.typing import NDArray
from skimage import data

from netsim.codec import Image, OperatingPoint, Stream, create_codec
from netsim.conformance import check_codec, checks
from netsim.conformance.new_process import digest
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db

QUALITY = OperatingPoint("quality", 2)


def codec_of(weights: Path, **settings: object) -> ResiComp:
    codec = create_codec("resicomp", {"slices": 5, "weights": weights, **settings})
    assert isinstance(codec, ResiComp)
    return codec


@pytest.fixture(scope="module")
def codec(tiny: Path) -> ResiComp:
    return codec_of(tiny, mode="MDC-2")


@pytest.fixture(scope="module")
def stream(codec: ResiComp, image: Image) -> Stream:
    return codec.encode(image, QUALITY)


def masks_of(*rows: str) -> np.ndarray:
    return np.array([[c == "1" for c in row] for row in rows])


def with_payload(stream: Stream, place: int, payload: bytes) -> Stream:
    packets = list(stream.packets)
    packets[place] = replace(packets[place], payload=payload)
    return replace(stream, packets=tuple(packets))


@pytest.mark.parametrize("mode", MODES)
def test_keeps_the_contract(tiny: Path, image: Image, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new process, which takes seconds to load torch, once for all modes."""
    if mode != "TwoLoop":
        monkeypatch.setattr(checks, "packets_elsewhere", lambda case: digest(case.stream))
    results = check_codec(codec_of(tiny, mode=mode, slices=4), [image[:40, :50]], [QUALITY])
    assert [f"{r.name}: {r.detail}" for r in results if not r.passed] == []


def test_slices_are_as_long_as_the_network_says(tiny: Path, codec: ResiComp, image: Image) -> None:
    """Within 1 % + 8 bytes of the entropy under the trained network as it is, in floating point, slice by slice."""
    networks, network = codec.networks, load_weights(tiny).transformer.double()
    for mode in ("LC", "SLC"):
        stream = codec_of(tiny, mode=mode).encode(image, QUALITY)
        layout = layout_of(read_header(stream.packets[0].payload, len(stream)))
        symbols, rate = networks.symbols(networks.analyse(image), 2.0), networks.rate(2.0)
        grown = np.pad(symbols / rate.steps, ((0, -symbols.shape[0] % 4), (0, -symbols.shape[1] % 4), (0, 0)))
        for number, cells in enumerate(layout.cells):
            known = np.zeros(grown.shape[:2], bool)
            known[: symbols.shape[0], : symbols.shape[1]] = layout.known(layout.contexts[number])
            with torch.no_grad():
                log_rate = torch.tensor([rate.log_rate], dtype=torch.float64)
                hidden = network.hidden(torch.from_numpy(grown)[None], torch.from_numpy(known)[None], log_rate)
                rows, columns = np.divmod(cells, symbols.shape[1])
                among_unknown = np.cumsum(~known).reshape(known.shape) - 1
                logits, means, scales = network.densities(hidden[among_unknown[rows, columns]])
            steps, chosen = torch.from_numpy(rate.steps), torch.from_numpy(symbols[rows, columns])
            estimate = -float(log_likelihood(chosen, logits, means * steps, scales * steps).sum()) / np.log(2) / 8
            assert abs(len(stream.packets[number + 1].payload) - estimate) < 0.01 * estimate + 8


def test_losses_are_what_the_mode_says(codec: ResiComp, stream: Stream) -> None:
    """MDC-2 with 5 slices: 3 and 5 need 1, 4 needs 2; a packet that is of no use changes nothing."""
    assert stream.protected.tolist() == [True] + [False] * 5
    masks = masks_of("111111", "101111", "110111", "100101", "011111", "100000")
    usable = masks_of("111111", "101010", "110101", "000000", "000000", "000000")
    assert codec.usable(stream, masks).tolist() == usable.tolist()
    shown = codec.decode(stream, masks_of("111111", "101111", "101010", "110111"))
    assert np.array_equal(shown[1], shown[2])
    assert len({p.tobytes() for p in shown}) == 3
    with pytest.raises(InputError, match="no slice is usable"):
        codec.decode(stream, masks_of("100101"))


def test_every_symbol_agrees_whatever_the_threads_and_the_batch(
    codec: ResiComp, tiny: Path, image: Image, threads: None
) -> None:
    for mode in ("LC", "MDC-2", "ISC"):
        torch.set_num_threads(1)
        sender, receiver = codec_of(tiny, mode=mode), codec_of(tiny, mode=mode)
        stream = sender.encode(image, QUALITY)
        expected = codec.networks.symbols(codec.networks.analyse(image), 2.0)
        torch.set_num_threads(2)
        payloads = [p.payload for p in stream.packets]
        head = read_header(payloads[0], len(payloads))
        for wanted in (masks_of("11111")[0], masks_of("10100")[0]):  # the latter: other batches than the sender's
            layout = layout_of(head)
            usable = wanted & codec_of(tiny, mode=mode).usable(stream, np.concatenate([[True], wanted]))[1:]
            receiver._slice_cache = type(receiver._slice_cache)()
            symbols = receiver._decoded(head, layout, payloads, usable)
            for number in np.flatnonzero(usable):
                cells = np.unravel_index(layout.cells[number], layout.slices.shape)
                assert np.array_equal(symbols[cells], expected[cells])


def test_entropy_decoding_is_done_once(
    tiny: Path, image: Image, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many masks, in one call or in several, whatever lies in place of lost packets."""
    receiver = codec_of(tiny, mode="MDC-2")
    brighter = codec_of(tiny, mode="MDC-2").encode(image // 2 + 100, QUALITY)
    decoded = []
    plain = TokenCoder.decode
    monkeypatch.setattr(TokenCoder, "decode", lambda *given: decoded.append(1) or plain(*given))
    some, rest = masks_of("110100", "110000"), masks_of("111111", "101010", "110101")
    first = receiver.decode(stream, some)
    assert len(decoded) == 2
    receiver.decode(stream, rest)
    assert len(decoded) == 5
    assert np.array_equal(receiver.decode(stream, some), first)
    assert len(decoded) == 5
    expected = codec_of(tiny).decode(stream, masks_of("101010"))
    assert len(decoded) == 7
    other = with_payload(stream, 1, b"noise")
    assert np.array_equal(receiver.decode(other, masks_of("111111")), expected)
    assert np.array_equal(receiver.decode(stream, some), first)
    assert len(decoded) == 7
    assert not np.array_equal(receiver.decode(brighter, some), first)
    assert len(decoded) == 9


def counted_passes(codec: ResiComp, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets an entry for each pass of the Transformer that predicts slices from others."""
    passes, plain = list[int](), codec.networks._given
    monkeypatch.setattr(codec.networks, "_given", lambda *given: passes.append(1) or plain(*given))
    return passes


@pytest.mark.parametrize("mode", MODES)
def test_an_encoder_remembers_what_its_bytes_decode_to(
    tiny: Path, image: Image, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, receiver = codec_of(tiny, mode=mode), codec_of(tiny, mode=mode)
    stream = sender.encode(image, QUALITY)
    payloads = [packet.payload for packet in stream.packets]
    head = read_header(payloads[0], len(payloads))
    passes = counted_passes(sender, monkeypatch)
    here, there = (c._decoded(head, layout_of(head), payloads, masks_of("11111")[0]) for c in (sender, receiver))
    assert len(passes) == len([one for one in decoding_passes(sender.contexts) if one.contexts])  # the receiver's alone
    assert np.array_equal(here, there)
    other = sender.encode(image // 2 + 100, QUALITY)
    mixed = with_payload(stream, 1, write_slice(read_slice(other.packets[1].payload), payloads[0], 1))
    for mask in (masks_of("110000"), masks_of("111111")):
        assert outcome(sender, mixed, mask) == outcome(receiver, mixed, mask) != outcome(sender, stream, mask)


def outcome(codec: ResiComp, stream: Stream, mask: np.ndarray) -> bytes | str:
    """An image, or why there is none: a slice with another slice as its context may be no code at all."""
    try:
        return codec.decode(stream, mask).tobytes()
    except InputError as error:
        return error.message


def test_what_does_not_come_back_is_not_remembered(
    tiny: Path, image: Image, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An encoder whose range decoder fails at the first slice: MDC-2's slices 3 and 5 depend on it."""
    sender, plain, calls = codec_of(tiny, mode="MDC-2"), TokenCoder.decode, list[int]()
    with monkeypatch.context() as patched:
        patched.setattr(TokenCoder, "decode", lambda *given: plain(*given) + (calls.append(1) or len(calls) == 1))
        assert sender.encode(image, QUALITY).packets == stream.packets
    assert len(calls) == 3  # without those two
    passes = counted_passes(sender, monkeypatch)
    mask = masks_of("110101")
    first = sender.decode(stream, mask)
    assert len(passes) == 2
    assert np.array_equal(first, codec_of(tiny, mode="MDC-2").decode(stream, mask))


@pytest.fixture
def loaded_anew() -> Iterator[None]:
    """Networks that this test loads are for this test alone."""
    _loaded.cache_clear()
    yield
    _loaded.cache_clear()


@pytest.mark.parametrize("able", [False, True])
def test_bfloat16_changes_no_byte_and_hardly_an_image(
    image: Image, able: bool, loaded_anew: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the weights that ship, whose transforms have residual blocks; no value where a processor would be slow."""
    for check in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, check, lambda: able, raising=False)
    exact, short = (create_codec("resicomp", {"mode": "ISC", "arithmetic": kind}) for kind in ("float32", "bfloat16"))
    assert exact.label == short.label
    stream = exact.encode(image, OperatingPoint("quality", 2))
    assert short.encode(image, OperatingPoint("quality", 2)).packets == stream.packets
    masks = np.random.default_rng(4).random((12, len(stream))) < 0.7
    masks[:, :2] = True
    images, others = (codec.decode(stream, masks) for codec in (exact, short))
    assert (images != others).any() == able
    assert np.abs(psnr_db(image, images) - psnr_db(image, others)).max() < 0.02
    assert (short.decode(stream, masks[5:6])[0] == others[5]).all()
    whole = np.ones((1, len(stream)), bool)
    assert np.abs(exact.decode(stream, whole).astype(int) - short.decode(stream, whole)).max() <= 2


def test_concealment_is_a_setting(tiny: Path, separate: Path, image: Image, stream: Stream) -> None:
    """The same packets; other images where something is lost, the same where nothing is."""
    kinds = [codec_of(tiny, mode="MDC-2", conceal=kind) for kind in ("plc", "mean", "zero")]
    kinds.append(codec_of(separate, mode="MDC-2"))
    assert all(kind.encode(image, QUALITY).packets == stream.packets for kind in kinds)
    lost = [kind.decode(stream, masks_of("101010"))[0].tobytes() for kind in kinds]
    assert len(set(lost)) == 4
    assert len({kind.decode(stream, masks_of("111111"))[0].tobytes() for kind in kinds}) == 1
    assert " conceal=mean " in kinds[1].label
    assert kinds[3].parameters > kinds[0].parameters
    assert kinds[0].networks is kinds[1].networks


def test_own_matrix(tiny: Path, codec: ResiComp, image: Image) -> None:
    rows = [[0, 0, 0], [1, 0, 0], [1, 0, 0]]
    own = create_codec("resicomp", {"mode": rows, "weights": tiny})
    as_text = create_codec("resicomp", {"mode": "000/100/100", "weights": tiny})
    assert isinstance(own, ResiComp)
    assert own.settings.model_dump(mode="json")["mode"] == "000/100/100"
    assert own.label.split()[1].startswith("own-")
    assert own.label == as_text.label
    stream = own.encode(image[:40, :50], QUALITY)
    assert stream.packets == as_text.encode(image[:40, :50], QUALITY).packets
    assert own.usable(stream, masks_of("1101", "1011")).tolist() == masks_of("1101", "0000").tolist()
    assert codec.decode(stream, masks_of("1101")).shape == (1, 40, 50, 3)  # what it was coded with stands in the head


@pytest.mark.parametrize(
    ("settings", "message", "key"),
    [
        ({"mode": [[0, 0, 0], [1, 0, 0], [0, 1, 0]]}, "slice 3 is predicted from slice 2", ("mode", 2, 0)),
        ({"mode": [[0, 1], [0, 0]]}, "predicted from slice 2, which comes later", ("mode", 0, 1)),
        ({"mode": [[0, 0], [2, 0]]}, "2 in row 2, column 1", ("mode", 1, 0)),
        ({"mode": 7}, "7 is not a matrix", ("mode",)),
        ({"mode": [[0]], "slices": 3}, "1 rows for 3 slices", ("mode",)),
        ({"mode": "MDC"}, "no context mode `MDC`", ("mode",)),
        ({"beta": 2.21}, "beta = 2.21", ("beta",)),
        ({"slices": 0}, "slices = 0", ("slices",)),
        ({"weights": Path("none.safetensors")}, "no weights at none", ()),
    ],
)
def test_wrong_settings_are_refused(tiny: Path, settings: dict, message: str, key: tuple) -> None:
    with pytest.raises(InputError, match=message) as caught:
        create_codec("resicomp", {"weights": tiny, **settings})
    assert caught.value.key == key


@pytest.mark.parametrize(("height", "width"), [(1, 1), (17, 33), (64, 100)])
def test_any_size(tiny: Path, image: Image, height: int, width: int) -> None:
    image = np.ascontiguousarray(np.tile(image, (1, 2, 1))[:height, :width])
    codec = codec_of(tiny, slices=1 if height == 1 else 6)
    stream = codec.encode(image, QUALITY)
    assert codec.decode(stream, np.ones((1, len(stream)), bool)).shape == (1, height, width, 3)
    many = codec_of(tiny, slices=29)
    with pytest.raises(InputError, match="29 slices for"):
        many.encode(image[:60, :60], QUALITY)


def test_rates(tiny: Path, image: Image) -> None:
    codec = codec_of(tiny, mode="SLC")
    low, high = (codec.encode(image, OperatingPoint("quality", q)) for q in (0.6, 3))
    assert low.bpp < high.bpp
    target = (low.bpp * high.bpp) ** 0.5
    assert codec.encode(image, OperatingPoint("bpp", target)).bpp == pytest.approx(target, rel=0.011)
    with pytest.raises(InputError, match="can't be reached"):
        codec.encode(image, OperatingPoint("bpp", 0.5 * low.bpp))
    with pytest.raises(InputError, match=r"quality 4\.1") as caught:
        codec.encode(image, OperatingPoint("quality", 4.1))
    assert "0 to 4" in caught.value.hint
    assert codec.encode(image, OperatingPoint("quality", 4)).bpp > high.bpp


def test_a_rate_is_found_in_few_codings(
    tiny: Path, image: Image, threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One where no slice has contexts; and the same stream whatever the threads."""
    codings = []
    plain = SliceEncoder.encode
    monkeypatch.setattr(SliceEncoder, "encode", lambda coder, quality: codings.append(quality) or plain(coder, quality))
    for mode, most in (("MDC-2", 3), ("ISC", 1)):
        codec = codec_of(tiny, mode=mode)
        low, high = (codec.encode(image, OperatingPoint("quality", q)).bpp for q in (0.6, 3))
        target, codings[:] = (low * high) ** 0.5, []
        torch.set_num_threads(1)
        stream = codec.encode(image, OperatingPoint("bpp", target))
        assert len(codings) <= most
        assert stream.bpp == pytest.approx(target, rel=RATE_TOLERANCE + 0.002)  # a byte is a part in a thousand here
        torch.set_num_threads(2)
        assert codec_of(tiny, mode=mode).encode(image, OperatingPoint("bpp", target)).packets == stream.packets


@pytest.mark.parametrize("mode", ["MDC-2", "ISC"])
def test_a_rate_with_effort_is_met_in_two_or_three_searches(
    tiny: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of a search one that makes the latent a tenth smaller; nothing is coded without it.

    One is enough where no quality is higher.
    """
    image, searches, codings = np.ascontiguousarray(data.astronaut()[20:212, 100:292]), [], []
    plain = SliceEncoder.encode
    monkeypatch.setattr(SliceEncoder, "encode", lambda coder, quality: codings.append(quality) or plain(coder, quality))

    def searched(networks: Networks, image: Image, quality: float, *_: object) -> NDArray[np.float64]:
        searches.append(quality)
        return 0.9 * networks.analyse(image)

    monkeypatch.setattr(Networks, "searched", searched)
    codec = codec_of(tiny, mode=mode, effort=1)
    low, middle, high = (codec.encode(image, OperatingPoint("quality", q)).bpp for q in (0.6, 2, 4))
    for target, most in ((1.1 * low, 3), (middle, 2), (1.2 * high, 1)):
        searches.clear()
        codings.clear()
        stream = codec.encode(image, OperatingPoint("bpp", target))
        assert len(set(searches)) == len(searches) <= most
        assert codings == searches
        assert stream.bpp == pytest.approx(min(target, high), rel=RATE_TOLERANCE + 0.002)


def test_without_contexts_all_tokens_are_alike(tiny: Path, codec: ResiComp, image: Image) -> None:
    """The one that stands for them, against the network as it is, in floating point, on a whole grid."""
    networks, network = codec.networks, load_weights(tiny).transformer.double()
    symbols, rate = networks.symbols(networks.analyse(image), 1.7), networks.rate(1.7)
    tokens, none = torch.zeros(1, 8, 12, symbols.shape[2], dtype=torch.float64), torch.zeros(1, 8, 12, dtype=torch.bool)
    with torch.no_grad():
        log_rate = torch.tensor([rate.log_rate], dtype=torch.float64)
        _, means, scales = (
            part.unflatten(0, (8, 12)) for part in network.densities(network.hidden(tokens, none, log_rate))
        )
    blank = networks.blank(1.7)
    assert np.allclose(blank.parameters[0, 1] / rate.steps, means.numpy(), atol=1e-3)
    assert np.allclose(blank.parameters[0, 2] / rate.steps, scales.numpy(), atol=1e-3)
    tiled = networks.densities(symbols, np.zeros(symbols.shape[:2], bool), 1.7, np.arange(symbols[..., 0].size))
    bits = TokenCoder(TokenContext(symbols.shape[2])).bits(symbols.reshape(-1, symbols.shape[2]), tiled).sum()
    assert blank.counted_bits(symbols) == pytest.approx(bits, rel=1e-4)


def test_a_packet_limit_says_how_many_slices_would_do(tiny: Path, image: Image) -> None:
    codec = codec_of(tiny, mode="ISC", slices=2)
    largest = int(codec.encode(image, QUALITY).sizes_bytes.max())
    with pytest.raises(InputError, match="2 slices, whose largest has") as caught:
        codec.encode(image, QUALITY, largest // 3)
    slices = int(caught.value.hint.split("slices: ")[1].split("`")[0])
    assert codec_of(tiny, mode="ISC", slices=slices).encode(image, QUALITY, largest // 3).sizes_bytes.max() > 0


def mutated(payload: bytes, kind: int, rng: np.random.Generator) -> bytes:
    where = int(rng.integers(len(payload)))
    if kind == 0:
        return payload[:where] + bytes([payload[where] ^ int(rng.integers(1, 256))]) + payload[where + 1 :]
    return payload[:where] if kind == 1 else rng.bytes(where)


def test_ten_thousand_mutations_are_losses(codec: ResiComp, stream: Stream) -> None:
    """Flipped bytes, cuts, noise: the packet counts as lost, and the image is that of the loss."""
    rng = np.random.default_rng(0)
    everything = np.ones((1, len(stream)), bool)
    lost = [codec.usable(stream, everything & (np.arange(len(stream)) != victim)) for victim in range(len(stream))]
    for trial in range(10_000):
        victim = trial % len(stream)
        damaged = with_payload(stream, victim, mutated(stream.packets[victim].payload, trial % 3, rng))
        assert np.array_equal(codec.usable(damaged, everything), lost[victim])
        if trial % 500 < len(stream) and victim:
            assert np.array_equal(codec.decode(damaged, everything), codec.decode(stream, lost[victim]))
        elif trial % 500 == 0:
            with pytest.raises(InputError, match="header is damaged or missing"):
                codec.decode(damaged, everything)


def test_noise_under_a_true_checksum_is_an_image_or_refused(codec: ResiComp, stream: Stream) -> None:
    """As nobody's encoder made it: past every checksum, into the range decoder and the head's reader."""
    rng = np.random.default_rng(1)
    start = stream.packets[0].payload
    everything = np.ones((1, len(stream)), bool)
    for trial in range(60):
        victim = 1 + trial % (len(stream) - 1)
        noise = mutated(read_slice(stream.packets[victim].payload), trial % 3, rng)
        damaged = with_payload(stream, victim, write_slice(noise, start, victim))
        with suppress(InputError):
            assert codec.decode(damaged, everything).shape == (1, 64, 70, 3)
    heads = 0
    for trial in range(1000):
        body = mutated(start[:-4], trial % 3, rng)
        payload = write_slice(body, bytes(4), 0)
        assert verify_checksums([payload]).all() == bool(body)
        try:
            heads += read_header(payload, len(stream)).contexts.shape == (5, 5)
        except InputError:
            continue
    assert 0 < heads < 1000


@pytest.mark.parametrize("mode", [*MODES, "MDC-6", "MDC-7", ((0, 0, 0), (1, 0, 0), (0, 0, 0))])
def test_heads_come_back(mode: object) -> None:
    for beta, quality in ((2.2, 2.25), (0.0, 0.0), (-1.35, 4.0)):
        head = ResiCompHeader(1080, 1920, quality, 3, beta, mode)  # type: ignore[arg-type]
        back = read_header(write_header(head), 4)
        assert replace(back, beta=beta) == head
        assert back.beta == pytest.approx(beta)
        assert np.array_equal(back.contexts, context_matrix(mode, 3))  # type: ignore[arg-type]


def test_betas_make_packets_alike(tiny: Path, image: Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image as PillowImage

    PillowImage.fromarray(image).save(tmp_path / "one.png")
    out = tmp_path / "betas.csv"
    betas.main(tmp_path, weights=tiny, slices=3, out=out)
    rows = list(csv.DictReader(out.open()))
    assert [row["mode"] for row in rows] == list(MODES)
    assert "bits of a token" in capsys.readouterr().out
    bits = 100 - 60 * betas.SHARES
    for mode in ("LC", "MDC-3"):
        beta, off = betas.best_beta(mode, 10, 1536, bits)
        sizes = layout_sizes(mode, beta, bits)
        assert betas.spread(sizes) == pytest.approx(off, abs=1e-5)
        assert all(off <= betas.spread(layout_sizes(mode, other, bits)) + 1e-5 for other in (0, beta / 2, beta + 1))
    assert usual_beta([[0]]) == BETA


def layout_sizes(mode: str, beta: float, bits: np.ndarray) -> np.ndarray:
    """Bits of each packet of a Kodak image, token by token."""
    head = ResiCompHeader(512, 768, 2.0, 10, beta, mode)
    layout = layout_of(head)
    shares = [layout.known(row).mean() for row in layout.contexts]
    return np.array([len(c) * np.interp(s, betas.SHARES, bits) for c, s in zip(layout.cells, shares, strict=True)])


def test_slices_with_the_same_contexts_take_one_pass(codec: ResiComp, image: Image) -> None:
    networks = codec.networks
    layout = layout_of(ResiCompHeader(64, 70, 2.0, 5, 2.2, "SLC"))
    symbols = networks.symbols(networks.analyse(image), 2.0)
    together = dict(predicted_slices(networks, layout, symbols, 2.0))
    for number in (2, 4):
        wanted = np.arange(5) == number
        alone = dict(predicted_slices(networks, layout, symbols, 2.0, wanted))
        mine, theirs = (made[number].parameters[made[number].rows] for made in (alone, together))
        assert np.array_equal(mine, theirs)


def test_other_files_are_no_weights(tmp_path: Path, image: Image, tiny: Path) -> None:
    noise = tmp_path / "noise.safetensors"
    noise.write_bytes(b"no weights")
    with pytest.raises(InputError, match="is not a safetensors file"):
        codec_of(noise).encode(image, QUALITY)
    shown = codec_of(tiny)
    assert shown.fingerprint["weights"] != codec_of(noise).fingerprint["weights"]


def test_torch_waits_for_the_first_image(tiny: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from netcodecs.resicomp.codec import ResiComp, ResiCompSettings; "
        f"codec = ResiComp(ResiCompSettings(mode='ISC', weights=Path({str(tiny)!r}))); codec.fingerprint; codec.label; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["False"]


def test_settings_are_plain_and_come_back(tiny: Path, image: Image) -> None:
    codec = ResiComp(ResiCompSettings(mode=((0, 0), (1, 0)), weights=tiny))
    again = create_codec("resicomp", codec.settings.model_dump(mode="json"))
    hash(tuple(codec.settings.model_dump(mode="json").items()))
    assert again.encode(image[:32, :32], QUALITY).packets == codec.encode(image[:32, :32], QUALITY).packets
    everything = np.ones((1, 3), bool)
    assert psnr_db(image[:32, :32], again.decode(codec.encode(image[:32, :32], QUALITY), everything))[0] > 15


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ISC", "MDC-2"])
def test_effort_lowers_the_loss_for_the_same_decoder(mode: str, image: Image) -> None:
    """Real bytes and pixels; the same packets at every call; a decoder without the setting shows them."""
    plain, searching = ResiComp(ResiCompSettings(mode=mode)), ResiComp(ResiCompSettings(mode=mode, effort=1))

    def loss(sent: Stream) -> float:
        everything = np.ones((1, len(sent)), bool)
        shown = plain.decode(sent, everything)
        assert np.array_equal(shown, searching.decode(sent, everything))
        mse = np.square(shown[0].astype(float) - image).mean()
        return float(lambda_of(2) * mse + sent.bpp)

    point = OperatingPoint("quality", 2)
    given, searched, again = (codec.encode(image, point) for codec in (plain, searching, searching))
    assert searched.packets == again.packets
    assert loss(searched) < 0.99 * loss(given)
    met = searching.encode(image, OperatingPoint("bpp", given.bpp))
    assert met.bpp == pytest.approx(given.bpp, rel=0.05)
    assert "effort=1" in searching.label


@pytest.mark.parametrize("name", ["resicomp", "mbt-mean"])
def test_a_search_is_remembered_by_where_it_ran(name: str) -> None:
    """A stream found on one device is none of another's; without a search the device changes no byte."""
    plain, elsewhere = (create_codec(name, {"device": device}).fingerprint for device in ("cpu", "cuda"))
    assert plain == elsewhere
    here, there = (create_codec(name, {"device": device, "effort": 1}).fingerprint for device in ("cpu", "cuda"))
    assert here != there


@pytest.mark.parametrize("name", ["resicomp", "mbt-mean"])
def test_a_search_is_remembered_by_its_arithmetic_and_its_processor(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With AVX2 in place of AVX-512 ResiComp's search, in float32, too, finds another stream (664 bytes, not 663)."""
    found = []
    for bfloat16, processor in ((True, "AVX512"), (False, "AVX512"), (False, "AVX2")):
        monkeypatch.setattr(devices, "multiplies_bfloat16", lambda device, answer=bfloat16: answer)
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda name=processor: name)
        found.append(create_codec(name, {"effort": 1}).fingerprint["search"])
        assert "search" not in create_codec(name, {}).fingerprint
    assert [text.removesuffix(" and AMX") for text in found] == [
        "bfloat16 on cpu, AVX512",
        "float32 on cpu, AVX512",
        "float32 on cpu, AVX2",
    ]
