"""Files that a codec's settings name start from the scenario's folder, like images and traces."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import FilePath

import netsim
from netsim.decoding.streams import codec_of, plan_stream_keys
from netsim.errors import InputError
from netsim.scenario.codec_files import codec_files, with_files
from netsim.scenario.document import Document
from netsim.scenario.load import plan_document

pytestmark = pytest.mark.usefixtures("empty_registry", "in_tmp_path")


class Settings(netsim.CodecSettings):
    weights: FilePath
    others: tuple[Path, ...] = ()
    word: str = ""


class Trained(netsim.Codec):
    name = "trained"
    Settings = Settings
    operating_point_keys = {"quality": int}  # noqa: RUF012

    def encode(self, image: Any, operating_point: Any, packet_limit_bytes: int | None = None) -> Any: ...

    def usable(self, stream: Any, received: Any) -> Any: ...

    def decode(self, stream: Any, masks: Any) -> Any: ...


def scenario(**settings: Any) -> Path:
    netsim.register("codec")(Trained)
    Path("sub").mkdir()
    path = Path("sub/mine.yaml")
    path.write_text(f"codecs: [{{trained: {{quality: 1, {', '.join(f'{k}: {v}' for k, v in settings.items())}}}}}]\n")
    with path.open("a") as file:
        file.write("channels: [EP4]\n")
    return path


def weights_of(plan: netsim.Plan) -> tuple[str, str]:
    """The setting as logs and names have it, and the file that the codec opens."""
    codec = plan.rows[0].schemes[0].codec
    assert f"weights={dict(codec.settings)['weights']}" in codec.label
    return str(dict(codec.settings)["weights"]), str(codec.create().input_files["weights"])


def test_weights_beside_the_scenario_are_found_from_any_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    path = scenario(weights="w.pt")
    there = Path("sub/w.pt").absolute()
    there.write_bytes(b"beside")
    plan = netsim.plan(path)
    assert weights_of(plan) == ("w.pt", str(there))
    Path("w.pt").write_bytes(b"in the working folder")
    assert weights_of(netsim.plan(path)) == ("w.pt", str(there))
    monkeypatch.chdir("sub")
    again = netsim.plan("mine.yaml")
    assert weights_of(again) == ("w.pt", str(there))
    assert again.run_id == plan.run_id


def test_weights_in_the_working_folder_are_found_where_the_scenario_has_none() -> None:
    path = scenario(weights="w.pt")
    Path("w.pt").touch()
    assert weights_of(netsim.plan(path)) == ("w.pt", str(Path("w.pt").absolute()))


def test_two_files_of_one_name_are_two_codecs() -> None:
    """In one process, where codecs are remembered by their settings."""
    netsim.register("codec")(Trained)
    codecs = []
    for folder in ("one", "two"):
        Path(folder).mkdir()
        Path(folder, "w.pt").write_text(folder)
        plan = plan_document(Document.of_values(_VALUES), Path(folder))
        codecs.append(codec_of(plan_stream_keys(plan)[0]).input_files["weights"].read_text())
    assert codecs == ["one", "two"]


_VALUES: dict[str, Any] = {
    "codecs": [{"trained": {"quality": 1, "weights": "w.pt"}}],
    "channels": ["EP4"],
    "images": {"samples": ["coffee"]},
}


def test_weights_that_are_nowhere_are_refused_with_their_place() -> None:
    with pytest.raises(InputError, match=r"weights = 'w\.pt': Path does not point to a file") as caught:
        netsim.plan(scenario(weights="w.pt"))
    assert "sub/mine.yaml:1" in caught.value.where


def test_a_setting_without_default_is_asked_for() -> None:
    with pytest.raises(InputError, match="codec trained needs the setting `weights`") as caught:
        netsim.plan(scenario())
    assert "--set weights=" in caught.value.hint


def test_paths_in_lists_and_choices_are_found_and_words_are_not() -> None:
    scenario()
    for name in ("a", "b"):
        Path("sub", name).touch()
    entry = {"trained": {"weights": "a", "others": ["a", "b", "c"], "word": "a", "choices": [{"weights": "b"}]}}
    sub = Path("sub").absolute()
    files = codec_files([entry], Path("sub"))
    assert files == {"a": str(sub / "a"), "b": str(sub / "b")}
    placed = with_files(Trained, entry["trained"], files)
    assert placed["others"] == [str(sub / "a"), str(sub / "b"), "c"]
    assert placed["word"] == "a"
    codec = Trained(Settings(**{key: value for key, value in placed.items() if key != "choices"}))
    assert codec.input_files == {"weights": sub / "a", "others 1": sub / "a", "others 2": sub / "b"}


def test_a_link_keeps_its_name() -> None:
    scenario()
    Path("blob").touch()
    Path("sub/w.pt").symlink_to(Path("blob").absolute())
    assert codec_files([{"trained": {"weights": "w.pt"}}], Path("sub")) == {"w.pt": str(Path("sub/w.pt").absolute())}


def test_where_an_earlier_run_found_a_file_counts_while_it_is_there() -> None:
    scenario()
    for name in ("w.pt", "sub/w.pt"):
        Path(name).touch()
    entries, before = [{"trained": {"weights": "w.pt"}}], str(Path("sub/w.pt").absolute())
    assert codec_files(entries, Path(), {"w.pt": before}) == {"w.pt": before}
    Path("sub/w.pt").unlink()
    assert codec_files(entries, Path(), {"w.pt": before}) == {"w.pt": str(Path("w.pt").absolute())}
