"""Attention beside effects: rows that belong together, and a sentence that counts."""

import numpy as np
import pandas as pd
import pytest

from workbench.insight import agreement, attend, attribute, weigh_history

IDS = [f"{row:03d}" for row in range(10)]


def test_every_item_and_request_word_has_its_attention_and_its_effect(tiny):
    attention = attend(tiny, IDS[:3], request="slow 科幻", item="009")
    effects = attribute(tiny, IDS[:3], "009", request="slow 科幻")
    weights = weigh_history(attention, effects, layer=1, head=0)
    assert weights["label"].tolist() == ["Alien (1979)", "Brazil (1985)", "Cube (1997)", "slow", "科", "幻"]
    assert weights["effect"].tolist() == effects.df["effect"].tolist()
    looked = attention.looked_at(layer=1, head=0).set_index("label")["attention"]
    assert weights["attention"].tolist() == looked[weights["label"]].tolist()


def test_another_place_than_the_end_has_no_effects_and_cannot_look_ahead(tiny):
    attention, effects = attend(tiny, IDS[:4], item="009"), attribute(tiny, IDS[:4], "009")
    weights = weigh_history(attention, effects, unit=2)
    assert weights["unit"].tolist() == [1, 2] and weights["effect"].isna().all()
    assert weigh_history(attention, effects, unit=4)["effect"].notna().all()
    assert weigh_history(attention)["effect"].isna().all()


def test_an_attribution_of_another_prompt_is_refused(tiny):
    with pytest.raises(ValueError, match="different prompts"):
        weigh_history(attend(tiny, IDS[:4], item="009"), attribute(tiny, IDS[1:5], "009"))


def test_an_attribution_of_another_item_is_refused(tiny):
    with pytest.raises(ValueError, match="about item '009', the attribution about '008'"):
        weigh_history(attend(tiny, IDS[:4], item="009"), attribute(tiny, IDS[:4], "008"))


@pytest.mark.parametrize(
    ("effect", "sentence"),
    [
        ([3, 2, 1, 0], "agree on 3 of the top 3 here: a, b, c."),
        ([-3, 0, -2, 1], "agree on 2 of the top 3 here: a, c."),
        ([0, 0.1, -0.1, 5], "agree on 2 of the top 3 here: b, c."),
        ([np.nan] * 4, "nothing to compare"),
    ],
)
def test_the_sentence_counts_the_first_of_both_by_size(effect, sentence):
    weights = pd.DataFrame({"label": list("abcd"), "attention": [0.4, 0.3, 0.2, 0.1], "effect": effect})
    assert sentence in agreement(weights)


def test_nothing_in_common_is_none_of_the_top():
    weights = pd.DataFrame({"label": list("ab"), "attention": [0.9, 0.1], "effect": [0.0, 1.0]})
    assert agreement(weights, k=1) == "Attention and effect agree on 0 of the top 1 here."
