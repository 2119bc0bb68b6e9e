"""Files that a codec's settings name start from the scenario's folder, like images and traces."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import FilePath

import netsim
from netsim.errors import InputError
from netsim.scenario.codec_files import with_files_beside

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


def weights_of(plan: netsim.Plan) -> str:
    return str(dict(plan.rows[0].schemes[0].codec.settings)["weights"])


def test_weights_beside_the_scenario_are_found_from_another_folder() -> None:
    path = scenario(weights="w.pt")
    Path("sub/w.pt").write_bytes(b"beside")
    assert weights_of(netsim.plan(path)) == "sub/w.pt"
    Path("w.pt").write_bytes(b"in the working folder")
    assert weights_of(netsim.plan(path)) == "sub/w.pt"


def test_weights_in_the_working_folder_are_found_where_the_scenario_has_none() -> None:
    path = scenario(weights="w.pt")
    Path("w.pt").touch()
    assert weights_of(netsim.plan(path)) == "w.pt"


def test_weights_keep_their_name_where_both_folders_are_one() -> None:
    scenario(weights="w.pt")
    Path("w.pt").touch()
    assert weights_of(netsim.plan(codecs=[{"trained": {"quality": 1, "weights": "w.pt"}}], channels=["EP4"])) == "w.pt"


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
    found = {"weights": "sub/a", "others": ["sub/a", "sub/b", "c"], "word": "a", "choices": [{"weights": "sub/b"}]}
    assert with_files_beside(entry, Path("sub")) == {"trained": found}
