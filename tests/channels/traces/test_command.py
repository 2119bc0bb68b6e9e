"""``netsim trace`` as users call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from netsim.cli import app
from netsim.errors import InputError


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["trace", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_describe_gives_the_same_numbers_as_json() -> None:
    Path("lost.txt").write_text("0110100000\n")
    facts = json.loads(run("describe", "lost.txt", "--one", "lost", "--json"))
    assert (facts["packets"], facts["loss_rate"], facts["mean_burst"]) == (10, 0.3, 1.5)
    assert facts["mean_gap"] == pytest.approx(7 / 3)
    assert facts["loss_counts"] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    other = json.loads(run("describe", "lost.txt", "--one", "received", "--json"))
    assert other["loss_rate"] == 0.7


def test_a_mistake_in_a_flag_stands_at_the_flag() -> None:
    Path("lost.txt").write_text("0110100000\n")
    with pytest.raises(InputError) as caught:
        run("describe", "lost.txt", "--one", "lots")
    assert str(caught.value).startswith("--one  one is `lots`")
    with pytest.raises(InputError) as caught:
        run("describe", "lost.txt", "--one", "lost", "--rtp")
    assert str(caught.value).startswith("--rtp  ")


def test_convert_never_replaces_a_file() -> None:
    Path("lost.txt").write_text("# 1=lost\n01\n")
    assert run("convert", "lost.txt", "lost.g192", "--byte-order", "big").splitlines()[-1] == "lost.g192"
    assert Path("lost.g192").read_bytes() == bytes.fromhex("6b216b20")
    with pytest.raises(InputError, match="exists"):
        run("convert", "lost.txt", "lost.g192")
    with pytest.raises(InputError, match="no format for lost"):
        run("convert", "lost.txt", "lost")


def test_a_link_alone() -> None:
    Path("links.txt").write_text("# 1=lost\na 0011\nb 1111\n")
    assert json.loads(run("describe", "links.txt", "--link", "b", "--json"))["loss_rate"] == 1
    with pytest.raises(InputError, match="has no link `c`"):
        run("describe", "links.txt", "--link", "c")


def test_a_mahimahi_trace_is_described_as_a_rate() -> None:
    Path("lte.up").write_text("".join(f"{ms}\n" for ms in range(1, 2001)))
    facts = json.loads(run("describe", "lte.up", "--format", "mahimahi", "--json"))
    assert (facts["mean_rate_bps"], facts["period_s"]) == (12e6, 2)


def test_the_next_command_reads_the_trace_the_same_way() -> None:
    Path("two links.txt").write_text("a 0011\nb 1111\n")
    next_line = run("describe", "two links.txt", "--link", "a", "--one", "lost").splitlines()[-1]
    assert next_line == "next  netsim trace fit 'two links.txt' --one lost --link a"


def test_an_impossible_count_of_states_is_refused() -> None:
    Path("lost.txt").write_text("0110100000\n")
    result = CliRunner().invoke(app, ["trace", "fit", "lost.txt", "--one", "lost", "--states", "-3"])
    assert result.exit_code == 2
    assert "--states" in result.output
