"""A run made again from its manifest: equal byte by byte, or it is said what is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import netsim
from netsim import results
from netsim.analysis import rerun as module
from netsim.cli import app
from netsim.codec import CodecSettings
from netsim.errors import InputError

SCENARIO = {
    "images": {"samples": ["coffee"]},
    "codecs": [{"jpeg": {"quality": [10, 30], "packets": 2, "protection": ["none", {"reed-solomon": "50%"}]}}],
    "channels": ["EP4", {"loss_rate": 0.2}],
    "engine": "array",
    "trials": 3,
    "seed": 4,
}


def test_a_run_is_made_again_byte_by_byte_and_leaves_the_first_as_it_was(in_tmp_path: Path) -> None:
    run = netsim.run(**SCENARIO, out="run")
    before = {path: path.stat().st_mtime_ns for path in Path("run").iterdir()}
    found = run.verify(rerun=True)
    assert (found.faults, found.notes) == ([], [])
    assert before == {path: path.stat().st_mtime_ns for path in Path("run").iterdir()}
    done = CliRunner().invoke(app, ["verify", "run", "--rerun"])
    assert done.exit_code == 0, done.output
    assert "equal byte by byte" in done.output
    assert "netsim-rerun" not in done.output + done.stderr  # a folder that is gone
    assert "decode " in done.stderr


class _Drifting(netsim.Codec):
    """Decodes otherwise each time it is made: what a random seed that nobody set does."""

    name = "drifting"
    summary = "grey, of a level that counts up"
    Settings = CodecSettings
    operating_point_keys = {"level": int}  # noqa: RUF012
    made = 0

    def encode(self, image, operating_point, packet_limit_bytes=None):  # type: ignore[no-untyped-def]
        payload = np.array(image.shape[:2], ">u2").tobytes()
        return netsim.Stream((netsim.Packet(payload), netsim.Packet(payload)), image.shape[:2], operating_point)

    def usable(self, stream, received):  # type: ignore[no-untyped-def]
        return received

    def decode(self, stream, masks):  # type: ignore[no-untyped-def]
        type(self).made += 1
        size = np.frombuffer(stream.packets[int(masks[0].argmax())].payload, ">u2")
        return np.full((len(masks), *size, 3), 40 + 20 * type(self).made, np.uint8)


def test_a_codec_that_does_not_repeat_is_seen(in_tmp_path: Path, empty_registry: None) -> None:
    netsim.register("codec")(_Drifting)
    run = netsim.run(**{**SCENARIO, "codecs": [{"drifting": {"level": 1}}]}, out="run")
    found = run.verify(rerun=True)
    assert len(found.faults) == 1
    assert found.faults[0].startswith("column `psnr_db` differs in ")
    done = CliRunner().invoke(app, ["verify", "run", "--rerun"])
    assert done.exit_code == 1
    assert "DIFFERS  column `psnr_db`" in done.output


def test_other_versions_are_named_and_equal_values_are_no_fault(in_tmp_path: Path) -> None:
    run = netsim.run(**SCENARIO, out="run")
    older = json.loads(json.dumps(run.manifest))
    older["versions"]["numpy"] = "0.9"
    older["code"]["netsim"] = "another"
    notes = module.rerun(results.Run(run.path, older)).notes
    assert any("numpy 0.9 → " in note for note in notes)
    assert any(note == "other source than in the run: netsim" for note in notes)


def test_a_damaged_log_is_not_compared(in_tmp_path: Path) -> None:
    run = netsim.run(**SCENARIO, out="run")
    with Path("run/log.parquet").open("ab") as file:
        file.write(b"x")
    assert run.verify(rerun=True).faults
    with pytest.raises(InputError, match="is not as the run wrote it"):
        module.rerun(run)
