"""Codec entries that run where their weights exist, and are named where they don't."""

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


def test_overrides_of_codecs_keep_the_optional_entries(small: MakeRecipe) -> None:
    recipe = small(optional=[{"jpeg2000": {"bpp": 0.7}}], quick=["codecs=[{jpeg: {quality: 30}}]"])
    plan, _ = recipe_plan(recipe, full=False)
    assert plan is not None
    assert {row.label for row in plan.rows} == {"jpeg", "jpeg2000 prefix"}
    assert with_codecs({"jpeg": {}}, [{"webp": {}}]) == [{"jpeg": {}}, {"webp": {}}]


def test_the_shipped_recipes_name_what_they_leave_out() -> None:
    assert len(optional_codecs(find_recipe("resicomp/fig15"))[1]) == 3
