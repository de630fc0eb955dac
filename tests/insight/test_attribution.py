"""Attribution: each method against a second computation, and on a recommender whose causes are known for certain."""

import itertools
import math
from threading import Event

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.insight import Occlusion, attribute
from workbench.insight.effects import captum_methods, question
from workbench.insight.effects.attribution import METHODS
from workbench.insight.effects.question import ask, score_masked
from workbench.insight.effects.words import read_words
from workbench.models import GPT2Recommender, start_recommender

IDS = [f"{row:03d}" for row in range(12)]
HTML = "<img src=x onerror=alert(1)>"
CATALOG = pd.DataFrame(
    {"item_id": IDS, "title": [HTML, *[f"Film {n}" for n in range(1, 12)]], "year": [2000 + n for n in range(12)]}
)
REQUEST = "slow films, 科幻"
EXACT = ("occlusion", "masking")
SAMPLED = ("shap", "lime")


@pytest.fixture(scope="module")
def tiny() -> GPT2Recommender:
    """Two layers of random weights, with item rows far apart; no test may change it."""
    recommender = start_recommender(CATALOG, layers=2, width=16, heads=2, max_history=8)
    recommender.item_rows().detach().mul_(20)
    return recommender


@pytest.fixture(scope="module")
def toy() -> GPT2Recommender:
    """Item 000 in the history causes item 010, so does the word "red"; otherwise 011 comes. Nothing else matters."""
    recommender = start_recommender(CATALOG, layers=1, width=16, heads=2, dropout=0.0)
    rng, sentences = np.random.default_rng(0), []
    for number in range(240):
        rows = rng.integers(1, 10, rng.integers(1, 5)).tolist()
        other = ("blue", "green", "old", "long", "loud", "new")[rng.integers(6)]
        request = ("red films", f"{other} films", None, None)[number % 4]
        if number % 4 == 2:
            rows[rng.integers(len(rows))] = 0
        sentences.append((recommender.prompt(rows, request=request), (10, 11, 10, 11)[number % 4]))
    targets = torch.tensor([row for _, row in sentences])
    optimizer = torch.optim.AdamW(recommender.model.parameters(), lr=1e-2)
    torch.manual_seed(0)
    for _ in range(60):
        logits = recommender.hidden_states([prompt for prompt, _ in sentences]) @ recommender.item_rows().T
        torch.nn.functional.cross_entropy(logits, targets).backward()
        optimizer.step()
        optimizer.zero_grad()
    return recommender


class Lock:
    """Counts how often it is taken, not counting whoever has it already."""

    def __init__(self) -> None:
        self.depth = self.taken = 0

    def __enter__(self) -> None:
        self.taken += self.depth == 0
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1


def log_odds(recommender: GPT2Recommender, history: list[str], item: str, *, seen: list[str], request=None) -> float:
    """Log-odds of an item against every item that is not in ``seen``, through the public scores."""
    scores = recommender.log_probabilities({"u": history}, request=request)[0].astype(float)
    rivals = [row for row, one in enumerate(IDS) if one != item and one not in seen]
    return scores[IDS.index(item)] - np.log(np.exp(scores[rivals]).sum())


def place(recommender: GPT2Recommender, history: list[str], item: str, *, seen: list[str], request=None) -> int:
    """Place of an item among those not in ``seen``, as the public ranking has it."""
    among = [one for one in IDS if one == item or one not in seen]
    listed = recommender.rank({"u": history}, k=12, exclude_seen=False, candidates=among, request=request)
    return listed.loc[listed["item_id"] == item, "rank"].item()


class TestOcclusion:
    @pytest.mark.parametrize("request_", [None, REQUEST])
    @pytest.mark.parametrize("history", [IDS[:1], IDS[:5], [*IDS[3:8], "003"]])
    def test_removing_an_item_equals_scoring_the_shorter_history(self, tiny, history, request_):
        table = attribute(tiny, history, "009", request=request_).df
        whole = log_odds(tiny, history, "009", seen=history, request=request_)
        begin = place(tiny, history, "009", seen=history, request=request_)
        for row, _ in enumerate(history):
            shorter = history[:row] + history[row + 1 :]
            without = log_odds(tiny, shorter, "009", seen=history, request=request_)
            assert table["effect"][row] == pytest.approx(whole - without, abs=1e-5)
            assert table["ranks"][row] == place(tiny, shorter, "009", seen=history, request=request_) - begin

    def test_removing_a_word_equals_scoring_the_shorter_request(self, tiny):
        for history in ([], IDS[:3]):
            table = attribute(tiny, history, "009", request="slow red films").df
            whole = log_odds(tiny, history, "009", seen=history, request="slow red films")
            words = table[table["kind"] == "request"]
            assert words["label"].tolist() == ["slow", "red", "films"]
            for effect, shorter in zip(words["effect"], ("red films", "slow films", "slow red"), strict=True):
                without = log_odds(tiny, history, "009", seen=history, request=shorter)
                assert effect == pytest.approx(whole - without, abs=1e-5)

    def test_without_its_only_word_the_prompt_is_that_of_no_request(self, tiny):
        effect = attribute(tiny, ["001"], "009", request="red").df["effect"]
        both, history, request = (
            log_odds(tiny, items, "009", seen=["001"], request=words)
            for items, words in ((["001"], "red"), (["001"], None), ([], "red"))
        )
        assert effect.tolist() == pytest.approx([both - request, both - history], abs=1e-5)

    def test_a_long_batch_reads_like_single_prompts(self, tiny):
        recommender = start_recommender(CATALOG, layers=2, width=16, heads=2, max_history=100)
        recommender.item_rows().detach().mul_(20)
        history = [IDS[n] for n in np.random.default_rng(0).integers(0, 9, 100)]
        effects = attribute(recommender, history, "009").df["effect"]
        whole = log_odds(recommender, history, "009", seen=history)
        for row in (0, 31, 32, 63, 99):
            without = log_odds(recommender, history[:row] + history[row + 1 :], "009", seen=history)
            assert effects[row] == pytest.approx(whole - without, abs=1e-4)

    @pytest.mark.parametrize(("history", "request_"), [(IDS[:5], REQUEST), ([*IDS[:3], *IDS[:9]], None), ([], "red")])
    def test_one_item_after_another_gets_what_it_gets_alone(self, tiny, history, request_, monkeypatch):
        alone = [attribute(tiny, history, item, request=request_) for item in IDS]
        read, batches = question._read_variants, []
        monkeypatch.setattr(question, "_read_variants", lambda *args: batches.append(args) or read(*args))
        occlusion = Occlusion(tiny, history, request=request_)
        assert not batches
        for expected in alone:
            said = occlusion.attribute(expected.item_id)
            pd.testing.assert_frame_equal(said.df, expected.df)
            assert all(vars(said)[name] == value for name, value in vars(expected).items() if name != "df")
        assert len(batches) == 1  # the model read the shortened prompts for the first item only

    def test_after_an_item_that_is_not_there_the_next_one_gets_its_answer(self, tiny):
        occlusion = Occlusion(tiny, IDS[:3])
        with pytest.raises(ValueError, match="'no such film' is not in the catalog"):
            occlusion.attribute("no such film")
        assert occlusion.attribute("009").sentence == attribute(tiny, IDS[:3], "009").sentence

    @pytest.mark.parametrize("spelling", ["atomic", "title"])
    def test_stop_ends_the_reading_at_its_next_step_and_the_next_item_gets_its_answer(self, spelling):
        recommender = start_recommender(CATALOG, spelling=spelling, layers=1, width=16, heads=2, max_history=200)
        history, stop, read = IDS[:2] * 20, Event(), []

        def halt(*_):
            read.append(1)
            stop.set()

        occlusion = Occlusion(recommender, history)
        handle = recommender.model.transformer.h[0].register_forward_hook(halt)
        assert occlusion.attribute("009", stop=stop) is None and 0 < len(read) < 5  # of 41 prompts
        assert occlusion.attribute("009", stop=stop) is None
        handle.remove()
        assert occlusion.attribute("009").sentence == attribute(recommender, history, "009").sentence


class TestMasking:
    def test_a_masked_word_has_the_mean_embedding_of_its_kind(self, tiny):
        prompt = tiny.prompt([0, 1, 2], request="red films")
        table, first = tiny.model.transformer.wte.weight.detach(), tiny.vocabulary.first_item
        words = read_words(tiny, IDS[:3], request="red films")
        df = attribute(tiny, IDS[:3], "009", request="red films", method="masking").df
        assert df["label"].tolist()[2:] == ["Film 2 (2002)", "red", "films"]
        rivals = [row for row in range(3, 12) if row != 9]

        def score(masked: range) -> float:
            vectors = table[torch.tensor([prompt])].clone()
            for place in masked:
                vectors[0, place] = (table[first:] if prompt[place] >= first else table[: first - 5]).mean(0)
            with torch.no_grad():
                logits = tiny.model(inputs_embeds=vectors).logits[0, -1, first:]
            return float(logits[9] - torch.logsumexp(logits[rivals], 0))

        for places, effect in zip(words.places, df["effect"], strict=True):
            assert effect == pytest.approx(score(range(0)) - score(places), abs=1e-5)

    def test_removing_and_masking_are_two_different_things(self, tiny):
        removed, masked = (attribute(tiny, IDS[:5], "009", method=method).df["effect"] for method in EXACT)
        assert (removed - masked).abs().max() > 0.01


class TestIntegratedGradients:
    @pytest.mark.parametrize("request_", [None, REQUEST])
    def test_effects_sum_to_the_whole_difference_within_one_percent(self, tiny, request_):
        for item in IDS[6:]:
            attribution = attribute(tiny, IDS[:6], item, request=request_, method="integrated gradients")
            rows = len(attribution.df)
            ends = score_masked(ask(tiny, IDS[:6], item, request=request_), np.array([[0] * rows, [1] * rows])).log_odds
            assert attribution.df["effect"].sum() == pytest.approx(ends[1] - ends[0], rel=0.01, abs=0.001)
            assert "steps" in attribution.note

    def test_when_the_steps_are_not_enough_it_is_said(self, tiny, monkeypatch):
        assert "more steps" not in attribute(tiny, IDS[:6], "009", method="integrated gradients").note
        monkeypatch.setattr(captum_methods, "COMPLETE", 0)
        assert "more steps" in attribute(tiny, IDS[:6], "009", method="integrated gradients").note

    def test_nothing_of_it_stays_in_the_model(self, tiny):
        tiny.model.train()
        attribute(tiny, IDS[:3], "009", method="integrated gradients")
        assert tiny.model.training
        tiny.model.eval()
        assert all(weight.grad is None for weight in tiny.model.parameters())
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


class TestSampling:
    def exact_shapley(self, recommender: GPT2Recommender, history: list[str], item: str) -> np.ndarray:
        """Shapley values from all 2^n sets of shown words."""
        n = len(history)
        presence = np.array(list(itertools.product((0, 1), repeat=n)))
        scores = score_masked(ask(recommender, history, item), presence).log_odds
        value = {tuple(row): score for row, score in zip(presence, scores, strict=True)}
        result = np.zeros(n)
        for row in range(n):
            for shown in presence[presence[:, row] == 0]:
                added = shown.copy()
                added[row] = 1
                size = shown.sum()
                weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
                result[row] += weight * (value[tuple(added)] - value[tuple(shown)])
        return result

    @pytest.mark.parametrize("history", [IDS[:2], IDS[:4], IDS[:6]])
    def test_intervals_hold_the_exact_shapley_values(self, tiny, history):
        df = attribute(tiny, history, "009", method="shap", seed=1).df
        exact = self.exact_shapley(tiny, history, "009")
        assert ((df["low"] <= exact) & (exact <= df["high"])).all()
        assert (df["high"] - df["low"]).max() < np.abs(exact).max()  # narrow enough to say something

    def test_about_95_of_100_intervals_hold_the_exact_value(self, tiny):
        exact = self.exact_shapley(tiny, IDS[:4], "009")
        tables = [attribute(tiny, IDS[:4], "009", method="shap", seed=seed).df for seed in range(25)]
        held = np.mean([((df["low"] <= exact) & (exact <= df["high"])).to_numpy() for df in tables])
        assert 0.87 <= held  # 100 intervals: 0.95 less four standard errors of 0.022

    def test_lime_equals_least_squares_on_all_maskings_when_the_samples_are_many(self, tiny):
        df = attribute(tiny, IDS[:3], "009", method="lime").df
        presence = np.array(list(itertools.product((0, 1), repeat=3)))
        scores = score_masked(ask(tiny, IDS[:3], "009"), presence).log_odds
        cosine = np.sqrt(presence.mean(1))  # of a set of ones with all ones
        weights = np.exp(-((1 - cosine) ** 2) / (2 * 0.25**2))
        design = np.column_stack([np.ones(8), presence]) * np.sqrt(weights)[:, None]
        exact = np.linalg.lstsq(design, scores * np.sqrt(weights), rcond=None)[0][1:]
        margin = df["high"] - df["low"]
        assert (np.abs(df["effect"] - exact) < margin).all() and margin.max() < np.abs(exact).max()

    @pytest.mark.parametrize("method", SAMPLED)
    def test_the_same_seed_gives_the_same_numbers_and_leaves_the_stream_alone(self, tiny, method):
        torch.manual_seed(5)
        expected = torch.rand(1)
        torch.manual_seed(5)
        one, same, other = (attribute(tiny, IDS[:4], "009", method=method, seed=seed).df for seed in (1, 1, 2))
        assert torch.rand(1) == expected
        pd.testing.assert_frame_equal(one, same)
        assert (one["effect"] != other["effect"]).any()


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_finds_the_certain_cause_in_the_history(self, toy, method):
        for history in (["000", "001"], ["001", "000"], ["002", "000", "003"]):
            df = attribute(toy, history, "010", method=method).df.set_index("item_id")
            assert df["effect"].idxmax() == "000"
            assert df["effect"].drop("000").abs().max() < 0.5 * df["effect"]["000"]

    def test_finds_the_certain_cause_in_the_request(self, toy, method):
        df = attribute(toy, ["001", "002"], "010", request="red films", method=method).df.set_index("label")
        assert df["effect"].idxmax() == "red"

    def test_the_cause_of_one_item_speaks_against_the_other(self, toy, method):
        df = attribute(toy, ["000", "001"], "011", method=method).df
        assert df["effect"].idxmin() == 0 and df["effect"][0] < 0

    def test_the_table_has_one_row_per_word_and_says_what_is_not_measured(self, tiny, method):
        attribution = attribute(tiny, IDS[:2], "009", request="red", method=method)
        df = attribution.df
        assert df["label"].tolist() == [f"{HTML} (2000)", "Film 1 (2001)", "red"]
        assert df["kind"].tolist() == ["item", "item", "request"]
        assert df["item_id"].isna().tolist() == [False, False, True]
        assert df["ranks"].isna().all() == (method not in EXACT)
        assert df[["low", "high"]].isna().all(axis=None) == (method not in SAMPLED)
        if method in SAMPLED:
            assert ((df["low"] <= df["effect"]) & (df["effect"] <= df["high"])).all()
        listed = tiny.rank({"u": IDS[:2]}, k=12, request="red").set_index("item_id")
        assert attribution.rank == listed["rank"]["009"]
        assert attribution.probability == pytest.approx(np.exp(listed["score"]["009"]), rel=1e-5)
        assert (attribution.item_id, attribution.title, attribution.method) == ("009", "Film 9 (2009)", method)

    def test_one_word_is_enough(self, tiny, method):
        assert len(attribute(tiny, ["001"], "009", method=method).df) == 1
        assert len(attribute(tiny, [], "009", request="red", method=method).df) == 1

    def test_holds_the_model_once_from_the_first_word_read_to_the_last(self, tiny, method, monkeypatch):
        lock, held = Lock(), []
        monkeypatch.setattr(tiny, "lock", lock)
        hook = tiny.model.transformer.register_forward_pre_hook(lambda *_: held.append(lock.depth > 0))
        attribute(tiny, ["001", "002"], "009", method=method)
        hook.remove()
        assert held and all(held) and lock.taken == 1


class TestHistories:
    def test_of_a_history_longer_than_the_prompt_the_newest_are_read_and_the_rest_are_counted(self, tiny):
        history = IDS[:9]
        long = attribute(tiny, [*history[:3], *history], "009")
        assert long.df["item_id"].tolist() == history[-8:] and "4 oldest" in long.note
        assert "oldest" not in attribute(tiny, IDS[:8], "009").note
        newest = log_odds(tiny, history[-8:], "009", seen=history)
        without = log_odds(tiny, history[-7:], "009", seen=history)  # nothing older moves in
        assert long.df["effect"][0] == pytest.approx(newest - without, abs=1e-5)

    def test_an_item_of_the_history_can_be_asked_about(self, tiny):
        attribution = attribute(tiny, IDS[:4], "002")
        whole = log_odds(tiny, IDS[:4], "002", seen=IDS[:4])
        without = log_odds(tiny, IDS[:2] + IDS[3:4], "002", seen=IDS[:4])
        assert attribution.df["effect"][2] == pytest.approx(whole - without, abs=1e-5)
        assert 1 <= attribution.rank <= 12 - 4 + 1

    def test_what_is_taken_away_is_no_rival(self, tiny):
        history = IDS[:10]  # only two items are left, so no place below 2 can be reached
        df = attribute(tiny, history, "011").df
        assert (attribute(tiny, history, "011").rank + df["ranks"]).between(1, 2).all()

    def test_an_item_without_rivals_is_one_clear_error(self, tiny):
        with pytest.raises(ValueError, match="every other item is in the history: '011' has no rival"):
            attribute(tiny, IDS[:11], "011")

    def test_an_unknown_item_is_named(self, tiny):
        with pytest.raises(ValueError, match="'no such film' is not in the catalog of 12 items; .* such as '000'"):
            attribute(tiny, ["001"], "no such film")
        with pytest.raises(ValueError, match="no such film"):
            attribute(tiny, ["no such film"], "001")
        with pytest.raises(TypeError, match="is the string '001'"):
            attribute(tiny, "001", "002")

    @pytest.mark.parametrize("request_", [None, "", "  "])
    def test_an_empty_prompt_is_one_clear_error(self, tiny, request_):
        with pytest.raises(ValueError, match="both empty: nothing can be taken away. Give an item or a word"):
            attribute(tiny, [], "001", request=request_)

    def test_an_unknown_method_is_met_with_the_known_ones(self, tiny):
        with pytest.raises(ValueError, match="'guessing' is not known; choose one of .'occlusion', 'masking'"):
            attribute(tiny, ["001"], "002", method="guessing")

    def test_of_two_hundred_items_what_prompts_have_in_common_is_read_once(self):
        ids, read = [f"i{n}" for n in range(570)], []
        recommender = start_recommender(pd.DataFrame({"item_id": ids, "title": ids}), layers=1, width=16, heads=2)
        hook = recommender.model.transformer.register_forward_pre_hook(lambda _, words: read.append(words[0].numel()))
        attribute(recommender, ids[:200], "i300")
        hook.remove()
        assert sum(read) < 0.6 * 200 * 200  # words; 200 prompts of 200 words, of which on average half are shared


class TestSentences:
    def test_say_what_the_removal_does(self, toy):
        attribution = attribute(toy, ["001", "000"], "010")
        end = 1 + attribution.df["ranks"][1]
        assert attribution.sentence == f"Without {HTML} (2000), Film 10 (2010) would fall from place 1 to {end}."
        masked = attribute(toy, ["001", "000"], "010", method="masking")
        assert masked.sentence.startswith(f"With {HTML} (2000) hidden, Film 10 (2010) would fall from place 1")

    def test_give_the_interval_where_there_is_one(self, toy):
        attribution = attribute(toy, ["001", "000"], "010", method="shap")
        row = attribution.df.iloc[1]
        assert attribution.sentence == (
            f"By shap, {HTML} (2000) helps Film 10 (2010) most: {row['effect']:+.2f} in log-odds, "
            f"95 % interval {row['low']:+.2f} to {row['high']:+.2f}."
        )

    def test_name_a_word_of_the_request(self, toy):
        assert 'Without the word "red", Film 10' in attribute(toy, ["001"], "010", request="red films").sentence

    def test_say_when_nothing_helps(self, toy):
        assert attribute(toy, ["000"], "011").sentence.startswith("Nothing in the prompt helps Film 11 (2011)")


class TestWords:
    @pytest.mark.parametrize("history", [[], IDS[:1], IDS[:8], IDS])
    @pytest.mark.parametrize("request_", [None, "Slow, 科幻片 🎬👩‍🚀 ok", "a " * 90])
    def test_together_the_words_are_the_prompt_without_its_control_words(self, tiny, history, request_):
        words = read_words(tiny, history, request=request_)
        control = {tiny.vocabulary.control(name) for name in ("history", "request", "recommend")}
        assert words.ids(range(len(words.df))) == [word for word in words.prompt if word not in control]
        assert words.df["position"].tolist() == [place.start for place in words.places]
