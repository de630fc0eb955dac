"""One's own tables: what is read, what is mended and reported, and how each bad input is refused."""

import gzip
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.catalogs import Dataset, leave_one_out, read_tables

ITEMS = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["Alien", "Brazil", "Casablanca"]})
EVENTS = pd.DataFrame({"user_id": ["u", "u", "v"], "item_id": ["b", "a", "c"], "timestamp": [20, 10, 5]})


def refusal(error=ValueError, **arguments) -> str:
    """Return the message of the one error that reading these tables gives."""
    with pytest.raises(error) as caught:
        read_tables(**{"items": ITEMS, "interactions": EVENTS, **arguments})
    return str(caught.value)


def test_users_keep_their_first_appearance_and_their_events_are_oldest_first():
    events = pd.DataFrame({"user_id": ["v", "u", "v"], "item_id": ["a", "b", "c"], "timestamp": [9, 1, 3]})
    dataset = read_tables(items=ITEMS, interactions=events)
    assert dataset.interactions[["user_id", "item_id"]].to_numpy().tolist() == [["v", "c"], ["v", "a"], ["u", "b"]]
    assert dataset.interactions["timestamp"].iloc[0] == pd.Timestamp("1970-01-01 00:00:03", tz="UTC")


@given(st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abc"), st.integers(0, 3)), min_size=1, max_size=30))
def test_ties_keep_the_order_of_the_file(rows):
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "position"]).assign(row=range(len(rows)))
    read = read_tables(items=ITEMS, interactions=events).interactions
    users = list(dict.fromkeys(user for user, _, _ in rows))
    assert read["row"].tolist() == sorted(range(len(rows)), key=lambda i: (users.index(rows[i][0]), rows[i][2], i))


def test_the_tables_given_are_left_as_they_are():
    before = EVENTS.copy()
    read_tables(items=ITEMS, interactions=EVENTS, columns={"title": "title"})
    pd.testing.assert_frame_equal(EVENTS, before)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json", ".parquet", ".csv.gz", ".jsonl.gz"])
def test_every_kind_of_file_gives_the_same_dataset(tmp_path, suffix):
    def write(table: pd.DataFrame, name: str):
        path, plain = tmp_path / f"{name}{suffix}", suffix.removesuffix(".gz")
        if plain == ".parquet":
            table.to_parquet(path)
            return path
        text = {
            ".csv": lambda: table.to_csv(index=False),
            ".tsv": lambda: table.to_csv(index=False, sep="\t"),
            ".jsonl": lambda: "\n".join(json.dumps(row) for row in table.to_dict("records")),
            ".json": lambda: json.dumps(table.to_dict("records")),
        }[plain]().encode()
        path.write_bytes(gzip.compress(text) if suffix.endswith(".gz") else text)
        return path

    dataset = read_tables(items=write(ITEMS, "items"), interactions=write(EVENTS, "interactions"))
    expected = read_tables(items=ITEMS, interactions=EVENTS)
    pd.testing.assert_frame_equal(dataset.catalog, expected.catalog)
    pd.testing.assert_frame_equal(dataset.interactions, expected.interactions)


def test_ids_stay_text_and_numbers_become_numbers(tmp_path):
    (tmp_path / "items.csv").write_text("item_id,title,price,shelf\n007,2001,1.5,01\nNA,NA,2,02\n")
    (tmp_path / "events.csv").write_text("user_id,item_id,position,rating\n01,007,0,4\n01,NA,1,NA\n")
    dataset = read_tables(items=tmp_path / "items.csv", interactions=tmp_path / "events.csv")
    assert dataset.catalog["item_id"].tolist() == ["007", "NA"]
    assert dataset.catalog["title"].tolist() == ["2001", "NA"]
    assert dataset.catalog["price"].tolist() == [1.5, 2.0]
    assert dataset.catalog["shelf"].tolist() == ["01", "02"]
    assert dataset.interactions["user_id"].tolist() == ["01", "01"]
    assert dataset.interactions["rating"].isna().tolist() == [False, True]


def test_whole_number_ids_match_whatever_their_type():
    items = pd.DataFrame({"item_id": [1, 2], "title": ["Alien", "Brazil"]})
    assert "user_id is missing in row 2" in refusal(interactions=EVENTS.assign(user_id=[1.0, None, 2.0]))
    events = pd.DataFrame({"user_id": [7.0, 7.0], "item_id": ["2", "1"], "position": [0, 1]})
    assert read_tables(items=items, interactions=events).interactions["user_id"].tolist() == ["7", "7"]


@pytest.mark.parametrize(
    "times",
    [
        [86_400, 172_800],
        ["86400", "172800"],
        [86_400_000 * 12_000, 86_400_000 * 12_001],
        ["1970-01-02", "1970-01-03T00:00:00Z"],
        pd.to_datetime(["1970-01-02", "1970-01-03"]),
    ],
)
def test_times_are_read_in_every_accepted_form(times):
    events = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "timestamp": times})
    read = read_tables(items=ITEMS, interactions=events).interactions["timestamp"]
    assert str(read.dtype) == "datetime64[ns, UTC]"
    assert read.iloc[1] - read.iloc[0] == pd.Timedelta(days=1)
    assert read.iloc[0] in (
        pd.Timestamp("1970-01-02", tz="UTC"),
        pd.Timestamp("1970-01-01", tz="UTC") + pd.Timedelta(days=12_000),
    )


def test_genres_are_separated_by_bars_and_the_card_says_so():
    items = ITEMS.assign(genres=["Horror, Sci-Fi", "Comedy;Drama", None])
    dataset = read_tables(items=items, interactions=EVENTS)
    assert dataset.catalog["genres"].tolist()[:2] == ["Horror|Sci-Fi", "Comedy|Drama"]
    assert dataset.card["cleaning"] == ["genres are separated by '|'"]


def test_a_misnamed_column_is_named_with_the_mapping_that_mends_it():
    items = ITEMS.rename(columns={"item_id": "movieId"})
    assert refusal(items=items) == "items: no column item_id; did you mean movieId? pass columns={'movieId': 'item_id'}"
    events = EVENTS.rename(columns={"user_id": "usr_id"})
    assert "did you mean usr_id?" in refusal(interactions=events)
    assert "did you mean unixReviewTime?" in refusal(
        interactions=EVENTS.rename(columns={"timestamp": "unixReviewTime"})
    )


def test_a_missing_column_names_the_columns_there_are():
    assert "no column title; the columns are item_id" in refusal(items=ITEMS[["item_id"]])
    assert "position" in refusal(interactions=EVENTS[["user_id", "item_id"]])


def test_a_mapping_the_wrong_way_round_is_recognised():
    message = refusal(items=ITEMS.rename(columns={"item_id": "movieId"}), columns={"item_ID": "movieId"})
    assert "did you mean {'movieId': 'item_ID'}" in message


def test_a_mapping_onto_a_column_that_is_there_is_refused():
    assert "two columns are called title" in refusal(items=ITEMS.assign(name="x"), columns={"name": "title"})


def test_duplicate_item_ids_are_refused_by_row():
    message = refusal(items=pd.concat([ITEMS, ITEMS.iloc[:1]]))
    assert "item_id must be unique" in message and "row 4" in message and "'a'" in message


def test_unknown_items_are_refused_by_name():
    message = refusal(interactions=EVENTS.assign(item_id=["b", "x", "x"]))
    assert "2 rows name 1 items that the catalog lacks ('x')" in message


def test_an_unreadable_time_is_refused_by_row():
    message = refusal(interactions=EVENTS.assign(timestamp=["2024-01-01", "yesterday", "2024-01-03"]))
    assert "row 2" in message and "'yesterday'" in message and "2024-05-31" in message
    assert "row 3" in refusal(interactions=EVENTS.assign(timestamp=[1, 2, None]))


def test_a_missing_id_and_a_broken_rating_are_refused_by_row():
    assert "user_id is missing in row 2" in refusal(interactions=EVENTS.assign(user_id=["u", None, "v"]))
    assert "row 3 is not ('good')" in refusal(interactions=EVENTS.assign(rating=[1, 2, "good"]))


def test_a_wrong_encoding_names_the_byte_and_the_fix(tmp_path):
    path = tmp_path / "items.csv"
    path.write_bytes("item_id,title\na,Amélie\nb,Brazil\nc,Casablanca\n".encode("latin-1"))
    offset = len("item_id,title\na,Am")
    message = refusal(items=path)
    assert f"byte 0xE9 at offset {offset}" in message and "line 2" in message and "encoding='latin-1'" in message
    dataset = read_tables(items=path, interactions=EVENTS, encoding="latin-1")
    assert dataset.catalog["title"].iloc[0] == "Amélie"


@pytest.mark.parametrize("content", ["", "\n \n", "item_id,title\n"])
def test_an_empty_file_is_refused(tmp_path, content):
    path = tmp_path / "items.csv"
    path.write_text(content)
    assert "empty" in refusal(items=path) or "no rows" in refusal(items=path)


def test_a_missing_file_a_folder_and_an_unknown_suffix_are_refused(tmp_path):
    assert "no such file" in refusal(FileNotFoundError, items=tmp_path / "nothing.csv")
    (tmp_path / "items.csv").mkdir()
    assert "it is a folder" in refusal(FileNotFoundError, items=tmp_path / "items.csv")
    assert "accepted: .csv, .tsv" in refusal(items=tmp_path / "items.xlsx")


def test_an_encoding_nobody_knows_and_utf_16_get_the_fix(tmp_path):
    path = tmp_path / "items.csv"
    path.write_bytes("item_id,title\na,Alien\nb,Brazil\nc,Casablanca\n".encode("utf-16"))
    assert "pass encoding='utf-16'" in refusal(items=path)
    assert "'klingon' is not known" in refusal(items=path, encoding="klingon")
    assert len(read_tables(items=path, interactions=EVENTS, encoding="utf-16").catalog) == 3


def test_another_separator_and_rows_longer_than_the_header_are_recognised(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("item_id;title\na;Alien\n")
    assert "separated by ';', not by ','" in refusal(items=path)
    path.write_text("item_id,title\na,Good, the Bad and the Ugly\n")
    assert "more fields than the header" in refusal(items=path)


def test_a_broken_line_of_json_is_named(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text('{"item_id": "a", "title": "Alien"}\n{"item_id": "b", \n')
    assert "line 2 is not JSON" in refusal(items=path)


def test_a_gz_that_expands_a_thousandfold_or_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "items.csv.gz"
    path.write_bytes(gzip.compress(b"item_id,title\n" + b"a" * 20_000_000))
    assert path.stat().st_size * 900 < 20_000_000
    assert "refused as unsafe" in refusal(items=path)
    path.write_bytes(gzip.compress(b"item_id,title\na,Alien\n")[:-6])
    assert "cut off" in refusal(items=path)


def test_missing_titles_become_the_id_and_are_reported_by_row():
    dataset = read_tables(items=ITEMS.assign(title=["Alien", float("nan"), " "]), interactions=EVENTS)
    assert dataset.catalog["title"].tolist() == ["Alien", "b", "c"]
    assert "2 items have no title (rows 2, 3); their item_id stands in for it" in dataset.card["findings"]


def test_a_title_of_ten_megabytes_is_cut_and_reported_by_row(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("item_id,title\na,Alien\nb," + "x" * 10_000_000 + "\nc,Casablanca\n")
    dataset = read_tables(items=path, interactions=EVENTS)
    assert dataset.catalog["title"].str.len().tolist() == [5, 1_000, 10]
    assert "titles longer than 1,000 characters were cut (row 2)" in dataset.card["findings"]


def test_a_title_with_a_script_stays_text_and_is_escaped_where_shown():
    script = "<script>alert(1)</script>"
    dataset = read_tables(items=ITEMS.assign(title=script, **{script: 1}), interactions=EVENTS, name=script)
    assert dataset.catalog["title"].iloc[0] == script
    shown = dataset._repr_html_()
    assert "<script" not in shown and shown.count("&lt;script&gt;") == 2


def test_a_user_with_one_event_is_read_and_stays_in_train():
    events = pd.DataFrame({"user_id": list("uuuv"), "item_id": list("abca"), "position": [0, 1, 2, 0]})
    split = leave_one_out(read_tables(items=ITEMS, interactions=events))
    assert split.train["user_id"].tolist() == ["u", "v"]
    assert split.protocol["users_too_short"] == 1


def test_the_card_shows_counts_density_lengths_and_dates():
    events = pd.DataFrame(
        {"user_id": list("uuuv"), "item_id": list("abca"), "timestamp": pd.date_range("2024-01-01", periods=4)}
    )
    shown = read_tables(items=ITEMS, interactions=events, name="three films")._repr_html_()
    density = f"{4 / (2 * 3):.2%}"
    for text in ("3 (3 with interactions)", density, "2 / 2 / 2 (quartiles), 1 to 3", "2024-01-01 to 2024-01-04"):
        assert text in shown
    assert "var(--jp-ui-font-color1" in shown and "var(--jp-layout-color1" in shown


def test_a_dataset_put_together_by_hand_must_keep_the_contract():
    good = read_tables(items=ITEMS, interactions=EVENTS)
    with pytest.raises(ValueError, match="row 2 is out of order"):
        Dataset("mine", good.catalog, good.interactions.iloc[[1, 0, 2]])
    with pytest.raises(ValueError, match="row 3 is out of order"):
        Dataset("mine", good.catalog, good.interactions.iloc[[0, 2, 1]])
    with pytest.raises(ValueError, match="item_id must be unique text"):
        Dataset("mine", good.catalog.assign(item_id=[1, 2, 3]), good.interactions)
    with pytest.raises(ValueError, match="catalog lacks"):
        Dataset("mine", good.catalog.iloc[:1], good.interactions)


def test_users_need_unique_ids():
    users = pd.DataFrame({"user_id": ["u", "u"], "age": [20, 30]})
    assert "users: user_id must be unique, but row 2" in refusal(users=users)
    assert read_tables(items=ITEMS, interactions=EVENTS, users=users.iloc[:1]).users["age"].tolist() == [20]
