"""The report: what it must hold, nothing from outside, nothing unescaped. And the commands that write figures."""

import base64
import hashlib
import html
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import netsim
from netsim.commands.data import fetch_kodak
from netsim.commands.plot import plot
from netsim.commands.report import report
from netsim.errors import InputError
from netsim.images import kodak_checksums
from netsim.report.illustrated import illustrate, write_report
from netsim.report.inline import inline_svg
from tests.figures.synthetic import exact_log, sampled_log, write_run

EVIL = "<script>alert('x')</script> & \"sweep\""


class _Tags(HTMLParser):
    """Open tags, attributes, and whether every element that must be closed was."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    @property
    def links(self) -> list[str]:
        """Addresses that are not data of the page itself."""
        return [address for address in self.addresses if not address.startswith("data:")]

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.attributes: list[tuple[str, list[str]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes.append((tag, [name for name, _ in attributes]))
        for name, value in attributes:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "action", "data"):
                self.addresses.append(value or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "sweep"
    log = sampled_log(["vvc", "vvc + 30% FEC"], ["EP1", "EP4", "EP6"], trials=5, slots=4)
    return write_run(folder, log, name=EVIL, notes=["EP5 as printed loses <50 %>"])


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return write_report(run).read_text(encoding="utf-8")


def test_page_is_well_formed_and_refers_to_nothing_outside(page: str) -> None:
    tags = _Tags(page)
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids))
    assert all(address.startswith("#") and address[1:] in tags.ids for address in tags.links)
    assert not re.search(r"https?:|@import|url\((?!#)", page)


def test_the_only_script_is_the_reports_own_and_the_policy_lets_no_other_run(page: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', page)
    assert policy
    assert html.unescape(policy[1]).startswith("default-src 'none'; ")
    assert html.unescape(policy[1]).endswith(f"script-src 'sha256-{own}'")
    assert "onclick" not in page


def test_page_escapes_what_comes_from_the_scenario(page: str) -> None:
    assert page.count("<script") == 1
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &#34;sweep&#34;" in page
    assert "EP5 as printed loses &lt;50 %&gt;" in page


def test_page_holds_what_ran_tables_figures_and_how_to_run_it_again(page: str) -> None:
    assert "2 schemes × 3 channels × 4 images; 5 trials, 360 slots in all; event engine" in page
    assert _Tags(page).seen.count("svg") == 4
    assert "netsim run scenarios/synthetic.yaml --set trials=12" in page
    assert "trials: 12" in page
    assert "numpy 1.26.4" in page
    assert re.search(r"<td>\d\d\.\d\d \[\d\d\.\d\d, \d\d\.\d\d\]</td>", page)
    assert re.search(r"<td>0\.\d{4} \[0\.\d{4}, \d\.\d{4}\]</td>", page)
    assert "counts as 13 dB" in page


def test_exact_run_says_so_and_tells_why_a_figure_is_missing(tmp_path: Path) -> None:
    page = write_report(write_run(tmp_path / "run", exact_log(["vvc"], ["EP1", "EP4"]))).read_text(encoding="utf-8")
    assert "exact: no sampling" in page
    assert "not drawn, this run has no slots in time" in page
    assert _Tags(page).open == []


def test_illustrate_writes_all_figures_and_the_report(tmp_path: Path) -> None:
    log = sampled_log(["vvc", "jpeg2000 prefix"], ["EP4", "EP5", "EP6"], (0.35,), trials=2, slots=2)
    folder = write_run(tmp_path / "run", log)
    written = {path.name for path in illustrate(folder)}
    stems = ("radar", "failure_ratio", "rd", "timeline")
    assert written == {f"{stem}.{suffix}" for stem in stems for suffix in ("png", "svg", "csv")} | {"report.html"}
    assert written < {path.name for path in folder.iterdir()}


def test_the_reports_timeline_shows_the_trial_that_the_command_shows(tmp_path: Path) -> None:
    log = sampled_log(["vvc", "jpeg2000 prefix"], ["EP4"], (0.2, 0.35), trials=5, slots=2)
    calm = log["trial"].lt(2) | (log["trial"].lt(3) & log["operating_point"].eq("bpp=0.35"))
    folder = write_run(tmp_path / "run", log.assign(packets_lost=log["packets_lost"].clip(lower=1).mask(calm, 0)))
    illustrate(folder)
    assert set(pd.read_csv(folder / "timeline.csv")["trial"]) == {3}
    done = CliRunner().invoke(_cli(), ["plot", "timeline", str(folder), "--out", str(tmp_path)])
    assert "shows  trial 3 (--trial: another)" in done.output
    assert set(pd.read_csv(tmp_path / "timeline.csv")["trial"]) == {3}


def test_a_run_made_again_gives_the_same_report(run: Path, page: str, tmp_path: Path) -> None:
    assert write_report(run, tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_inline_svg_keeps_drawings_apart() -> None:
    svg = b'<?xml version="1.0"?><!DOCTYPE svg><svg xmlns="http://a"><g id="p"/><use xlink:href="#p"/></svg>'
    assert inline_svg(svg, "one", "A") != inline_svg(svg, "two", "A")
    assert 'id="one-p"' in inline_svg(svg, "one", "A")
    assert 'href="#one-p"' in inline_svg(svg, "one", "A")


def _cli() -> object:
    import typer

    app = typer.Typer()
    app.command("plot")(plot)
    app.command("report")(report)
    return app


def test_commands_write_files_and_name_them(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures"
    drawn = CliRunner().invoke(_cli(), ["plot", "radar", str(run), "--out", str(out), "--high-bpp", "0.45"])
    assert drawn.exit_code == 0, drawn.output
    assert [line.split()[-1] for line in drawn.output.splitlines()] == [
        str(out / f"radar.{suffix}") for suffix in ("png", "svg", "csv")
    ]
    result = CliRunner().invoke(_cli(), ["report", str(run), "--out", str(out / "r.html")])
    assert result.exit_code == 0, result.output
    assert (out / "r.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plot", "radr", "{run}"], "no figure `radr`"),
        (["plot", "radar", "{run}/nowhere"], "no run folder"),
        (["plot", "radar", "{run}", "--low-bpp", "2", "--high-bpp", "3"], "no scheme has a point between 2 and 3 bpp"),
        (["plot", "rd", "{run}", "--trial", "1"], "no option `--trial`"),
        (["plot", "timeline", "{run}", "--trial", "77"], "no trial 77"),
        (["report", "{run}", "--out", "{run}/no/such/file.html"], "no folder"),
    ],
)
def test_commands_say_what_is_wrong(run: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(_cli(), [one.format(run=run) for one in arguments])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)


def test_a_table_that_is_no_log_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", exact_log(["vvc"], ["EP1"]).drop(columns=["weight"]))
    with pytest.raises(InputError, match="lacks columns: weight"):
        write_report(folder)


class _Answer:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def __enter__(self) -> "_Answer":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def read(self, _: int) -> bytes:
        return self.content


def test_fetch_checks_every_file_and_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    contents = {name: name.encode() * 9 for name in kodak_checksums()}
    known = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr("netsim.images.kodak_checksums", lambda: known)
    asked: list[str] = []

    def open_url(url: str, timeout: float) -> _Answer:
        asked.append(url)
        name = url.rpartition("/")[2]
        if len(asked) == 3:
            raise OSError("network unreachable")
        return _Answer(contents[name])

    with pytest.raises(InputError, match=r"kodim03.png: network unreachable") as caught:
        fetch_kodak(tmp_path, open_url)
    assert "NETSIM_KODAK" in caught.value.hint
    assert fetch_kodak(tmp_path, open_url) == 22
    assert all(url.startswith("https://") for url in asked)
    assert fetch_kodak(tmp_path, open_url) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == contents


def test_fetch_refuses_another_file_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the known file"):
        fetch_kodak(tmp_path / "kodak", lambda url, timeout: _Answer(b"captive portal"))
    assert list((tmp_path / "kodak").iterdir()) == []


RATES = {"vvc": [0.25, 0.299], "jpeg2000 prefix": [0.2, 0.304], "hevc": [0.28, 0.45]}


def _rates_log(rates: dict[str, list[float]]) -> pd.DataFrame:
    """Curves that are straight lines of 10 dB per bit/pixel, each 1 dB above the one before."""
    parts = [
        exact_log([scheme], ["EP1", "EP4"]).assign(
            bpp=bpp, operating_point=f"bpp={bpp:g}", psnr_db=30 + 10 * bpp + i, status="full"
        )
        for i, (scheme, several) in enumerate(rates.items())
        for bpp in several
    ]
    return pd.concat(parts)


def test_the_first_table_says_of_what_packets_were_lost(tmp_path: Path) -> None:
    """A scheme with a protected header loses less than the channel does."""
    codec = {"jpeg2000": {"bpp": 1, "receiver": "prefix", "packets": 4}}
    keys = {"images": {"samples": ["coffee"]}, "codecs": [codec], "channels": ["uniform-20"], "engine": "exact"}
    run = netsim.run(**keys, out=tmp_path / "run")
    assert run.summary["loss_rate"].iloc[0] < 0.2
    assert "20.00 %" not in _best_section(run.path)
    said = "Packets lost: of all packets sent, also those that are never lost; mean over schemes."
    assert f"{said} A channel&#39;s own loss rate stands below, under Channels." in _best_section(run.path)
    assert "20.00 %" in run.report().read_text()
    alone = _best_section(write_run(tmp_path / "synthetic", _rates_log(RATES)))
    assert f"{said}</p>" in alone  # its scenario lists no channels


def _best_section(run: Path, **rates: float) -> str:
    page = write_report(run, **rates).read_text(encoding="utf-8")
    return page[page.index("Best scheme per channel") : page.index('id="figures"')]


def test_schemes_are_ranked_over_the_rates_that_all_cover(tmp_path: Path) -> None:
    """Means over .28 to .299, by a fine sum along curves that are straight over the logarithm of the rate."""
    section = _best_section(write_run(tmp_path / "run", _rates_log(RATES)))
    assert "0.28–0.299 bit/pixel" in section
    fine = np.log(np.linspace(0.28, 0.299, 100_001))
    for scheme, above_db in (("hevc", 2), ("jpeg2000 prefix", 1)):  # the best, and the next
        rates = np.array(RATES[scheme])
        assert f"{np.interp(fine, np.log(rates), 30 + 10 * rates + above_db).mean():.2f}" in section
    assert "†" not in section
    assert "Left out" not in section


def test_a_range_that_is_asked_for_names_who_is_left_out_and_marks_who_covers_a_part(tmp_path: Path) -> None:
    section = _best_section(write_run(tmp_path / "run", _rates_log(RATES)), low_bpp=0.3, high_bpp=0.4)
    assert "0.3–0.4 bit/pixel" in section
    assert "Left out, as outside the range: vvc (0.25–0.299)." in section
    assert "jpeg2000 prefix† (0.3–0.304)" in section
    assert "† covers a part of that range." in section
    assert "hevc<" in section


def test_the_packets_lost_are_those_of_the_channel_over_its_own_link(tmp_path: Path) -> None:
    log = _rates_log(RATES)
    slow = log.assign(link="slow", packets_lost=10)  # all ten of each slot
    one = pd.concat([log, slow])[lambda rows: rows["channel"] == "EP4"]
    section = _best_section(write_run(tmp_path / "run", one))
    here = log[log["channel"] == "EP4"]
    lost = float((here["packets_lost"] * here["weight"]).sum() / (here["packets_sent"] * here["weight"]).sum())
    assert f"{100 * lost:.2f} %" in section
    assert "100.00 %" in section


def test_single_operating_points_are_all_ranked_with_their_rates(tmp_path: Path) -> None:
    points = {"vvc": [0.299], "jpeg2000 prefix": [0.35], "hevc": [0.1]}
    section = _best_section(write_run(tmp_path / "run", _rates_log(points)))
    assert "Left out" not in section
    assert "jpeg2000 prefix (0.35)" in section
    assert "their rates differ" in section


def test_rates_that_are_no_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"from 0\.4 to 0\.3"):
        write_report(write_run(tmp_path / "run", _rates_log(RATES)), low_bpp=0.4, high_bpp=0.3)
