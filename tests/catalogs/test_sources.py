"""Where datasets are found, and what is said when they are not."""

import os
import zipfile
from dataclasses import replace

import pytest

from workbench.catalogs import available_datasets, load_dataset, sources

UNREACHABLE = "http://127.0.0.1:9/ml-100k.zip"


@pytest.fixture(autouse=True)
def own_machine(tmp_path, monkeypatch):
    """An empty cache, no folders of one's own, and no network."""
    monkeypatch.setattr(sources, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(sources, "BUNDLED", tmp_path / "data")
    monkeypatch.delenv("WORKBENCH_DATASETS", raising=False)
    for name, layout in sources.LAYOUTS.items():
        if layout.archive:
            monkeypatch.setitem(sources.LAYOUTS, name, replace(layout, archive=UNREACHABLE))


def write_ml_100k(folder, *, title: str = "Cité, La (1995)"):
    """Write a MovieLens-100K of two items and three events in the publisher's layout."""
    folder.mkdir(parents=True)
    (folder / "u.genre").write_text("unknown|0\nDrama|1\nWar|2\n\n")
    rows = [f"1|{title}|||url|0|1|1", '2|"Big" One (1998)|||url|1|0|0']
    (folder / "u.item").write_text("\n".join(rows) + "\n", encoding="latin-1")
    (folder / "u.data").write_text("7\t2\t3\t20\n7\t1\t4\t10\n8\t1\t5\t30\n")
    (folder / "u.user").write_text("7|24|M|writer|12345\n8|53|F|doctor|98765\n")
    return folder


def test_a_publishers_layout_is_read_as_it_is(tmp_path):
    dataset = load_dataset(write_ml_100k(tmp_path / "somewhere"))
    assert dataset.name == "ml-100k"
    assert dataset.catalog["title"].tolist() == ["La Cité", '"Big" One']
    assert dataset.catalog["genres"].tolist() == ["Drama|War", "unknown"]
    assert dataset.catalog["year"].tolist() == [1995, 1998]
    assert dataset.interactions["item_id"].tolist() == ["1", "2", "1"]
    assert dataset.users.columns.tolist() == ["user_id", "age", "gender", "occupation"]
    assert "postal codes of users left at the door" in dataset.card["cleaning"]


def test_names_are_looked_for_in_every_folder_of_the_list_and_in_the_cache(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    write_ml_100k(second / "ml-100k", title="Second (1990)")
    monkeypatch.setenv("WORKBENCH_DATASETS", os.pathsep.join([str(first), str(second)]))
    assert available_datasets() == ["ml-100k"]
    assert load_dataset("ml-100k").catalog["title"].iloc[0] == "Second"
    write_ml_100k(first / "ml-100k", title="First (1990)")
    assert load_dataset("ml-100k").catalog["title"].iloc[0] == "First"
    write_ml_100k(tmp_path / "data" / "ml-100k", title="Bundled (1990)")
    assert load_dataset("ml-100k").catalog["title"].iloc[0] == "Bundled"


def test_the_cache_is_the_last_place_before_a_download(tmp_path):
    write_ml_100k(tmp_path / "cache" / "ml-100k")
    assert load_dataset("ml-100k").interactions.shape[0] == 3


def test_tables_of_ones_own_are_read_from_their_folder(tmp_path, monkeypatch):
    folder = tmp_path / "mine" / "shop"
    folder.mkdir(parents=True)
    (folder / "items.csv").write_text("item_id,title\na,Alien\n")
    (folder / "interactions.csv").write_text("user_id,item_id,position\nu,a,0\n")
    assert load_dataset(folder).name == "shop"
    monkeypatch.setenv("WORKBENCH_DATASETS", str(tmp_path / "mine"))
    assert load_dataset("shop").catalog["title"].tolist() == ["Alien"]
    monkeypatch.chdir(tmp_path / "mine")
    monkeypatch.delenv("WORKBENCH_DATASETS")
    assert load_dataset("shop").name == "shop"


def test_a_zip_fetched_by_hand_is_read_and_nothing_stays_behind(tmp_path):
    folder = write_ml_100k(tmp_path / "ml-100k")
    with zipfile.ZipFile(tmp_path / "ml-100k.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"ml-100k/{path.name}")
    before = sorted(tmp_path.iterdir())
    assert load_dataset(tmp_path / "ml-100k.zip").name == "ml-100k"
    assert load_dataset(folder / "u.data").name == "ml-100k"
    assert sorted(tmp_path.iterdir()) == before


def test_offline_a_missing_dataset_says_what_it_wants_from_where_and_what_works(tmp_path, monkeypatch):
    write_ml_100k(tmp_path / "own" / "ml-100k")
    monkeypatch.setenv("WORKBENCH_DATASETS", str(tmp_path / "own"))
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset("ml-1m")
    message = str(caught.value)
    assert "movies.dat, users.dat, ratings.dat or ratings.parquet" in message
    assert UNREACHABLE in message and str(tmp_path / "cache" / "ml-1m") in message
    assert "names that work right now: ml-100k" in message
    assert not list((tmp_path / "cache").iterdir())


def test_a_dataset_without_a_download_says_where_to_get_it():
    with pytest.raises(FileNotFoundError, match="no download that could be checked.*Gift_Cards_5.json.gz.*ucsd"):
        load_dataset("amazon-giftcards-2018")


def test_a_download_lands_in_the_cache_and_is_not_fetched_again(tmp_path, monkeypatch, capsys):
    import hashlib

    folder = write_ml_100k(tmp_path / "publisher" / "ml-100k")
    path = tmp_path / "ml-100k.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"ml-100k/{file.name}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    layout = replace(sources.LAYOUTS["ml-100k"], archive=path.as_uri(), sha256=digest)
    monkeypatch.setitem(sources.LAYOUTS, "ml-100k", layout)
    assert len(load_dataset("ml-100k").catalog) == 2
    assert "GroupLens: research use" in capsys.readouterr().out
    path.unlink()
    assert len(load_dataset("ml-100k").catalog) == 2
    assert sorted(file.name for file in (tmp_path / "cache").iterdir()) == ["ml-100k"]


@pytest.mark.parametrize("name", ["../../etc", "..", "ml-100k/../../etc", "nothing-of-that-name"])
def test_a_name_that_climbs_out_finds_no_dataset(tmp_path, monkeypatch, name):
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    monkeypatch.setenv("WORKBENCH_DATASETS", str(inside))
    write_ml_100k(tmp_path / "etc")
    (tmp_path / "etc" / "u.data").unlink()
    with pytest.raises(FileNotFoundError, match="no known layout|neither a dataset's name"):
        load_dataset(name)


def test_a_misspelt_name_is_met_with_the_right_one():
    with pytest.raises(FileNotFoundError, match="did you mean 'ml-100k'"):
        load_dataset("ml100k")


def test_a_single_file_that_is_no_dataset_is_refused(tmp_path):
    (tmp_path / "items.csv").write_text("item_id,title\na,Alien\n")
    with pytest.raises(ValueError, match="one file is not a dataset; use read_tables"):
        load_dataset(tmp_path / "items.csv")


def test_a_damaged_publishers_file_is_named_with_its_folder(tmp_path):
    folder = write_ml_100k(tmp_path / "ml-100k")
    (folder / "u.data").write_text("7\t2\t3\n")
    with pytest.raises(ValueError, match="ml-100k: u.data: 3 fields in a line where 4 are expected"):
        load_dataset(folder)
    (folder / "u.data").write_text("")
    with pytest.raises(ValueError, match="u.data: the file is empty"):
        load_dataset(folder)
