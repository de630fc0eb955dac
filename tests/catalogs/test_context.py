"""When it happened, as context; and whether the times say when anything happened at all."""

import pandas as pd
import pytest

from workbench.catalogs import add_context, load_dataset, sitting_share
from workbench.catalogs.films import read_context


def test_the_bundled_contexts_are_those_that_the_times_say():
    films = load_dataset("films")
    columns = ["time_of_day", "day_type", "season"]
    bare = add_context(type(films)(films.name, films.catalog, films.interactions.drop(columns=columns)))
    pd.testing.assert_frame_equal(
        bare.interactions[columns], films.interactions[columns].astype(bare.interactions[columns].dtypes)
    )
    told = read_context(pd.DatetimeIndex(films.interactions["timestamp"]))
    assert (bare.interactions["season"].to_numpy() == told["season"].to_numpy()).all()


def test_columns_that_are_there_are_kept_and_a_dataset_without_times_is_named():
    films = load_dataset("films")
    kept = add_context(type(films)(films.name, films.catalog, films.interactions.assign(season="rainy")))
    assert set(kept.interactions["season"]) == {"rainy"}
    with pytest.raises(ValueError, match="has no timestamp"):
        ordered = films.interactions.rename(columns={"timestamp": "position"}).assign(position=0)
        add_context(type(films)(films.name, films.catalog, ordered))


def test_most_people_of_ml_100k_typed_everything_in_one_sitting(datasets_folder):
    assert sitting_share(load_dataset("ml-100k").interactions) > 0.5  # so its hours are those of the keyboard
    assert sitting_share(load_dataset("films").interactions) == 0
