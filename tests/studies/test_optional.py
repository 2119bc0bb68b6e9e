"""Codec entries that run where their weights exist, and are named where they don't."""

import pytest

from netsim.errors import InputError
from netsim.studies.optional import optional_codecs, with_codecs
from netsim.studies.recipe import find_recipe
from netsim.studies.reproduce import recipe_plan
from tests.studies.conftest import MakeRecipe


def test_an_entry_without_weights_is_left_out_and_named(small: MakeRecipe) -> None:
    recipe = small(
        optional=[{"progdtd": {"quality": 2, "weights": "mine.safetensors"}}, {"jpeg2000": {"bpp": 0.7, "packets": 2}}]
    )
    entries, [note] = optional_codecs(recipe)
    assert entries == [{"jpeg2000": {"bpp": 0.7, "packets": 2}}]
    assert note == "Left out: progdtd weights=mine.safetensors (progdtd: no weights at mine.safetensors)."
    plan, notes = recipe_plan(recipe, full=False)
    assert plan is not None
    assert "bpp=0.7" in {row.operating_point for row in plan.rows}
    assert notes == [note]


def test_an_entry_whose_package_is_not_installed_is_left_out(
    small: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netcodecs import needs

    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    entries, [note] = optional_codecs(small(optional=[{"progdtd": {"quality": 2}}]))
    assert entries == []
    assert note == "Left out: progdtd (progdtd needs torch, which is not installed)."


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"progdt": {"quality": 2}}, "unknown codec `progdt`"),
        ({"progdtd": {"wieghts": "mine.safetensors"}}, "codec progdtd has no setting `wieghts`"),
        ({"jpeg2000": {"receiver": "both"}}, "codec jpeg2000: receiver = 'both'"),
    ],
)
def test_any_other_fault_of_an_entry_is_an_error(
    entry: dict[str, dict[str, object]], message: str, small: MakeRecipe
) -> None:
    with pytest.raises(InputError, match=message):
        optional_codecs(small(optional=[entry]))


def test_overrides_of_codecs_keep_the_optional_entries(small: MakeRecipe) -> None:
    recipe = small(optional=[{"jpeg2000": {"bpp": 0.7}}], quick=["codecs=[{jpeg: {quality: 30}}]"])
    plan, _ = recipe_plan(recipe, full=False)
    assert plan is not None
    assert {row.label for row in plan.rows} == {"jpeg", "jpeg2000 prefix"}
    assert with_codecs({"jpeg": {}}, [{"webp": {}}]) == [{"jpeg": {}}, {"webp": {}}]


def test_the_shipped_recipes_name_what_they_leave_out() -> None:
    assert len(optional_codecs(find_recipe("resicomp/fig15"))[1]) == 3
