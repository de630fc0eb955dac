"""Where the weights begin: random ones, and published ones with a tokenizer of their own."""

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, GPT2LMHeadModel

from workbench.language.tokenizer import encode
from workbench.models.start import start_recommender


@pytest.fixture(scope="module")
def started(tiny_catalog, gpt2_folder):
    return start_recommender(tiny_catalog, base=str(gpt2_folder), max_history=12)


@pytest.fixture
def damaged(gpt2_folder, tmp_path):
    return shutil.copytree(gpt2_folder, tmp_path / "base")


def weights(recommender):
    return torch.cat([value.flatten() for value in recommender.model.state_dict().values()])


def test_a_seed_decides_the_weights_and_nothing_else_is_drawn(make_tiny):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = make_tiny(seed=5)
    assert torch.rand(1) == expected
    assert torch.equal(weights(first), weights(make_tiny(seed=5)))
    assert not torch.equal(weights(first), weights(make_tiny(seed=6)))


def test_words_of_items_and_controls_lie_above_all_text(make_tiny, started):
    for recommender in (make_tiny(), started):
        words = recommender.vocabulary
        assert max(recommender.tokenizer.get_vocab().values()) < words.n_text
        assert words.items(range(10)) == list(range(words.n_text + 5, words.n_text + 15))
        assert recommender.model.transformer.wte.num_embeddings == words.size
        assert recommender.model.lm_head.weight is recommender.model.transformer.wte.weight


def test_nothing_is_dropped_inside_attention(make_tiny, started):
    for recommender in (make_tiny(dropout=0.3), started):
        assert {block.attn.attn_dropout.p for block in recommender.model.transformer.h} == {0.0}


def test_the_start_is_told(make_tiny, started):
    assert make_tiny().start == "random"
    assert started.start.startswith("hub (gpt2")


def test_a_folder_brings_its_weights_and_its_50_257_pieces(started, gpt2_folder):
    published = GPT2LMHeadModel.from_pretrained(gpt2_folder)
    assert started.vocabulary.n_text == 50257
    torch.testing.assert_close(started.model.transformer.wte.weight[:50257], published.transformer.wte.weight)
    torch.testing.assert_close(
        started.model.transformer.h[0].mlp.c_fc.weight, published.transformer.h[0].mlp.c_fc.weight
    )
    assert encode(started.tokenizer, "slow science fiction") == [3105, 3783, 10165]  # " slow", " science", " fiction"


def test_item_rows_begin_near_the_mean_of_their_titles_pieces(started, tiny_catalog):
    rows = started.model.transformer.wte.weight.detach()
    spread = rows[:50257].std()
    for row, title in enumerate(tiny_catalog["title"]):
        mean = rows[encode(started.tokenizer, title)].mean(0)
        own = rows[started.vocabulary.first_item + row]
        assert (own - mean).norm() < 0.2 * spread * 16**0.5
        assert not torch.equal(own, mean)


@pytest.mark.parametrize(
    "text", ["<|endoftext|>", "a <|endoftext|> b", "<item_5>", "<history> ->", "科幻片🎬", "\ud83d"]
)
def test_special_tokens_of_a_published_tokenizer_stay_text(started, text):
    ids = encode(started.tokenizer, text)
    assert ids and max(ids) < 50256  # 50256 is <|endoftext|>
    assert started.rank({"u": ["001"]}, k=3, request=text)["rank"].tolist() == [1, 2, 3]


def test_a_published_base_ranks_a_batch_like_single_calls(started):
    histories = {"a": ["001", "002"], "b": [], "c": ["009"]}
    together = started.log_probabilities(histories, request={"a": "a western"})
    np.testing.assert_allclose(together[1], started.log_probabilities({"b": []})[0], atol=1e-5)
    np.testing.assert_allclose(np.exp(together).sum(1), 1, atol=1e-5)


def test_a_pickle_is_never_opened(damaged, tiny_catalog):
    (damaged / "model.safetensors").rename(damaged / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"no \.safetensors.*save_pretrained"):
        start_recommender(tiny_catalog, base=str(damaged))


def test_another_kind_of_model_is_refused(tmp_path, tiny_catalog):
    config = BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=300
    )
    BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="'bert' model.*gpt2"):
        start_recommender(tiny_catalog, base=str(tmp_path))


def test_code_that_comes_with_a_model_is_never_run(damaged, tiny_catalog):
    trap = damaged / "ran"
    (damaged / "evil.py").write_text(f"open({str(trap)!r}, 'w').close()\n")
    mapping = {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M", "AutoTokenizer": ["evil.T", "evil.T"]}
    for name in ("config.json", "tokenizer_config.json"):
        settings = json.loads((damaged / name).read_text())
        (damaged / name).write_text(json.dumps({**settings, "auto_map": mapping}))
    start_recommender(
        tiny_catalog, base=str(damaged), max_history=12
    )  # a plain GPT-2 is enough: nothing of it is needed
    settings = json.loads((damaged / "config.json").read_text())
    (damaged / "config.json").write_text(json.dumps({**settings, "model_type": "evil"}))
    with pytest.raises(ValueError):
        start_recommender(tiny_catalog, base=str(damaged))
    assert not trap.exists()


def test_a_folder_without_its_tokenizer_is_refused(damaged, tiny_catalog):
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        (damaged / name).unlink(missing_ok=True)
    with pytest.raises(ValueError, match=r"tokenizer of .* has 1 pieces.*tokenizer\.json"):
        start_recommender(tiny_catalog, base=str(damaged))


def test_a_prompt_longer_than_the_base_reads_is_refused(gpt2_folder, tiny_catalog):
    with pytest.raises(ValueError, match="256 words, the prompt needs 301.*max_history"):
        start_recommender(tiny_catalog, base=str(gpt2_folder), max_history=300)


def test_an_unknown_base_gives_one_sentence(tiny_catalog, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match="no GPT-2 could be loaded from 'nobody/no-such-model'.*base='small'"):
        start_recommender(tiny_catalog, base="nobody/no-such-model")


def test_one_head_begins_by_handing_on_what_it_reads(tiny_catalog):
    model = start_recommender(tiny_catalog, width=64, heads=2).model
    attention, size = model.transformer.h[0].attn, 64 // 2
    for head, strength in enumerate([0.5, 0]):
        value = attention.c_attn.weight[:, 2 * 64 + head * size : 2 * 64 + (head + 1) * size]
        handed_on = value @ attention.c_proj.weight[head * size : (head + 1) * size]  # (d_model, d_model)
        # a projection on 32 directions has the trace 32
        assert handed_on.trace().item() == pytest.approx(strength * size, abs=2)
