"""YAML that no person writes: refused at its place, at once; and what people write is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.errors import InputError
from netsim.scenario.document import Document
from netsim.scenario.load import load_plan, plan_document

ALIASES = "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))

REFUSED = [
    ("? [a]\n: b", "1:3", "a key that is a list"),
    ("{{a: 1}: 2}", "1:2", "a key that is a mapping"),
    ("1: 2", "1:1", "a key that is not text, `1`"),
    ("~: 2", "1:1", "a key that is not text, `~`"),
    (": 2", "1:1", "a key that is empty"),
    ("a: &a b\n*a : 2", "2:1", "a key that is an alias"),
    ("a: &a {<<: *a}", "1:12", "`*a` stands inside `&a`"),
    ("a: &a [1, *a]", "1:11", "`*a` stands inside `&a`"),
    ("a: &a 1\na: &a [*a]", "2:8", "`*a` stands inside `&a`"),
    ("name: 2024-13-45", "1:7", "`2024-13-45` is a date"),
    ("name: 2024-12-24 10:00:00", "1:7", "is a date"),
    ("a: !!python/object:os.system x", "1:4", "a YAML tag"),
    ("a: !!set {x}", "1:4", "a YAML tag"),
    ('"\\ud800": 1', "1:1", "surrogate"),
    ('a: [1, "\\udcff"]', "1:8", "surrogate"),
    ("%YAML 1.1\n---\na: yes", "2:1", "YAML version"),
    ("a: 1\na: 2", "2:1", "duplicate key"),
    ("a: 1\n---\nb: 2", "", "another document"),
    ("a: " + "9" * 5000, "1:4", "a number of 5000 digits"),
    ("a: " + "[" * 2000 + "]" * 2000, "1:53", "nested 51 deep"),
    ("".join(" " * i + "a:\n" for i in range(400)), "51:51", "nested 51 deep"),
    ("a: &a [x]\n" + ALIASES, "", "more than 20,000 keys and values"),
    ("".join(f"k{i}: 1\n" for i in range(80_000)), "10000:", "more than 20,000 keys and values"),
    ("# " + "x" * 1_000_001, "1:1", "characters of YAML"),
    ("a: \x00", "1:1", "not readable as YAML"),
    ("a: 'b", "1:6", "not readable as YAML"),
    ("a: *b", "1:4", "undefined alias"),
]


@pytest.mark.parametrize(("text", "place", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_odd_texts_are_refused_at_their_place(text: str, place: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Document.parse(text, "mine.yaml")
    assert str(caught.value).startswith(f"mine.yaml:{place}")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 700


def test_anchors_merges_and_quoted_dates_are_read() -> None:
    text = "a: &a {k: 1, on: true}\nb: {<<: *a, k: 2}\nc: [*a, &t true, *t]\n'2024-13-45': \"2024-12-24\"\nx: 1e3\n"
    assert Document.parse(text, "mine.yaml").data == {
        "a": {"k": 1, "on": True},
        "b": {"k": 2, "on": True},
        "c": [{"k": 1, "on": True}, True, True],
        "2024-13-45": "2024-12-24",
        "x": 1000.0,
    }


SCENARIO = """\
images: {samples: [coffee]}
codecs: [{jpeg: {quality: 50}}]
channels: [{loss_rate: 0.1}]
"""

BROKEN = [
    ("samples: [coffee]", "samples: [{a: 1}]", "1:20", "no sample image"),
    ("samples: [coffee]", "folder: " + "x" * 300, "1:", "File name too long"),
    ("samples: [coffee]", "folder: ~nobody-has-this-name", "1:", "no home folder"),
    ("quality: 50", "quality: .nan", "2:27", "quality = nan"),
    ("quality: 50", "quality: [50, .inf]", "2:32", "quality = inf"),
    ("quality: 50", "bpp: .inf", "2:23", "bpp = inf"),
    ("quality: 50", "quality: 1e400", "2:27", "quality = inf"),
    ("0.1", "1..2%", "3:24", "1..2%"),
    ("0.1", "1.2.3%", "3:24", "1.2.3%"),
    ("0.1", ".nan", "3:24", "nan"),
    ("images", "slots: 1000000000\nimages", "1:8", "1000000000"),
    ("images", "trials: 1000000000000\nimages", "1:9", "1000000000000"),
    ("images", "engine: array\ntrials: 10000000\nslots: 1000\nimages", "3:8", "10,000,000,000 rows of the log"),
    ("images", "failure_db: .nan\nimages", "1:13", "nan"),
    ("images", "failure_db: .inf\nimages", "1:13", "inf"),
    ("images", "link: []\nimages", "1:7", "empty list"),
    ("images", "protection: []\nimages", "1:13", "empty list"),
    ("images", "control: []\nimages", "1:10", "empty list"),
    ("quality: 50}}]", "quality: 50, protection: none}}]\nprotection: {repeat: 2}", "3:22", "not a list of settings"),
    ("images", f"name: {'x' * 300}\nimages", "1:7", "300 bytes"),
    ("images", 'name: "a\\nb"\nimages', "1:7", "control characters"),
    ("{loss_rate: 0.1}", '{loss_rate: 0.1, name: "a\\0b"}', "3:12", "control characters"),
]


@pytest.mark.parametrize(("old", "new", "place", "message"), BROKEN, ids=[new[:30] for _, new, _, _ in BROKEN])
def test_odd_values_are_refused_at_their_place(tmp_path: Path, old: str, new: str, place: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SCENARIO.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        load_plan(path)
    assert str(caught.value).startswith(f"{path}:{place}"), str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("name=2024-13-45", "`2024-13-45` is a date"),
        ("name=2024-12-24", "`2024-12-24` is a date"),
        ("name={[a]: 1}", "a key that is a list"),
        ("name=!!set {a}", "a YAML tag"),
        ("codecs.²=1", "has 1 entries, no `²`"),
        ("codecs.9.jpeg=1", "has 1 entries, no `9`"),
        ("0=1", "unknown key `0`"),
        ("a" + ".b" * 5000 + "=1", "a key of 5001 parts"),
        ("trials=" + "9" * 9000, "a number of 9000 digits"),
    ],
    ids=lambda value: value[:20],
)
def test_odd_assignments_are_refused(tmp_path: Path, assignment: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SCENARIO)
    with pytest.raises(InputError) as caught:
        load_plan(path, [assignment])
    assert str(caught.value).startswith("--set ")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_second_overriding_keeps_the_first() -> None:
    document = Document.parse(SCENARIO, "mine.yaml").with_overrides(["codecs.0.jpeg.quality=20"])
    assert document.with_overrides(["codecs=[jpeg]"]).with_overrides(["seed=1"]).data["codecs"] == ["jpeg"]
    assert document.data["codecs"] == [{"jpeg": {"quality": 20}}]


def test_windows_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SCENARIO.replace("\n", "\r\n").encode())
    assert len(load_plan(path).rows) == 1


@pytest.mark.parametrize("content", [b"name: \xff", b"\xff\xfen\x00a\x00"])
def test_files_that_are_not_utf_8_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match="can't read the scenario"):
        load_plan(path)


def test_scenario_files_that_can_not_be_opened_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / ("x" * 300), Path("a\0b")):
        with pytest.raises(InputError, match="can't read the scenario"):
            load_plan(path)


def test_image_names_are_checked_before_work(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "caf\udce9.png")
    document = Document.parse(SCENARIO.replace("{samples: [coffee]}", str(tmp_path)), "mine.yaml")
    with pytest.raises(InputError, match="bytes that are not UTF-8"):
        plan_document(document, base_dir=tmp_path)


def test_an_image_too_small_for_a_metric_is_refused_before_work(tmp_path: Path) -> None:
    from PIL import Image

    for name, size in (("a", (161, 161)), ("b", (300, 160))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    path = tmp_path / "mine.yaml"
    path.write_text(SCENARIO.replace("{samples: [coffee]}", "[a.png]\nmetrics: [psnr_db, ms_ssim]"))
    assert load_plan(path).metrics == ("psnr_db", "ms_ssim")
    with pytest.raises(InputError, match="image `b` is too small for ms_ssim: 300×160 pixels") as caught:
        load_plan(path, ["images=[a.png, b.png]"])
    assert str(caught.value).startswith(f"{path}:2:20")
    assert "161" in caught.value.hint


def test_an_override_without_a_value_is_refused():
    with pytest.raises(InputError, match="`trials` has no value"):
        Document.parse(SCENARIO, "mine.yaml").with_overrides(["trials="])
