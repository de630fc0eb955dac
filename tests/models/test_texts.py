"""Free text: only text comes out, whole letters are shown as they come, and the question is what training taught."""

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.convert_slow_tokenizer import bytes_to_unicode

from workbench.catalogs import item_labels
from workbench.language import Prompt, Spelling
from workbench.language.tokenizer import encode
from workbench.models import GPT2Recommender, start_recommender
from workbench.models.generation.texts import write_text
from workbench.training.loss import sentence_loss
from workbench.training.text_sentences import text_group

IDS = [f"{row:03d}" for row in range(10)]
REVIEW = ("task", "write", "review")
QUESTIONS = {
    "describe": {"item": "003"},
    "explain": {"item": "003", "prompt": Prompt(history=("001", "002"), request="slow science fiction")},
    "review": {"item": "003"},
    "finish": {"sentence": "A film about"},
}


@pytest.fixture(scope="module")
def reviewer(make_tiny: Callable[..., GPT2Recommender]) -> GPT2Recommender:
    """Knows the mark of reviews, so that all tasks can be asked; shared, so none may change it."""
    return make_tiny(marks=(("context", "time_of_day", "evening"), REVIEW))


@pytest.fixture
def says(make_tiny: Callable[..., GPT2Recommender]) -> Callable[..., GPT2Recommender]:
    """Makes recommenders that write what they are told, texts, bytes and items (a number), then ``<end>``."""

    def make(words: Sequence[int | str | bytes], *, height: float = 30.0, **changes: object) -> GPT2Recommender:
        recommender = make_tiny(**changes)
        letters, ids = bytes_to_unicode(), []
        for word in words:
            if isinstance(word, bytes):
                ids += [recommender.tokenizer.token_to_id(letters[byte]) for byte in word]
            else:
                ids += (
                    recommender.tokenizer.encode(word).ids
                    if isinstance(word, str)
                    else [*recommender.vocabulary.items([word])]
                )
        ids.append(recommender.vocabulary.control("end"))
        turn = iter(ids)

        def script(module: object, arguments: object, logits: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros_like(logits)
            logits[..., next(turn)] = height
            return logits

        recommender.model.lm_head.register_forward_hook(script)
        return recommender

    return make


def asked(recommender: GPT2Recommender, monkeypatch: pytest.MonkeyPatch, *question: object, **more: object):
    """The ids that a question becomes, and the answer's fields; nothing is written."""
    seen = []
    monkeypatch.setattr(recommender.model, "generate", lambda words, **_: seen.append(words[0].tolist()))
    answer = write_text(recommender, *question, **more)
    return seen[0], answer


@settings(max_examples=40, deadline=None)
@given(
    task=st.sampled_from(list(QUESTIONS)),
    how=st.sampled_from(["sample", "greedy"]),
    seed=st.integers(0, 1000),
    items=st.booleans(),
    length=st.integers(1, 25),
)
def test_streamed_pieces_join_to_the_text_and_no_letter_is_broken(reviewer, task, how, seed, items, length):
    streamed = []
    written = write_text(
        reviewer,
        task,
        **QUESTIONS[task],
        how=how,
        seed=seed,
        items=items,
        length=length,
        temperature=3.0,
        top_p=1.0,
        on_piece=streamed.append,
    )
    assert "".join(streamed) == written.text and streamed == [piece.text for piece in written.pieces]
    assert "\ufffd" not in written.text and all(streamed) and len(streamed) <= length
    assert all(0 < piece.probability <= 1 for piece in written.pieces)


@pytest.mark.parametrize("how", ["sample", "greedy"])
@pytest.mark.parametrize("task", QUESTIONS)
def test_the_same_seed_writes_the_same_text_whatever_was_drawn_before(reviewer, task, how):
    first = write_text(reviewer, task, **QUESTIONS[task], how=how, seed=5)
    torch.rand(17)
    before = torch.get_rng_state()
    assert write_text(reviewer, task, **QUESTIONS[task], how=how, seed=5) == first
    assert torch.equal(torch.get_rng_state(), before)
    other = write_text(reviewer, task, **QUESTIONS[task], how=how, seed=6)
    assert (other.text != first.text) == (how == "sample")


def test_item_words_never_come_unless_they_are_allowed(tiny):
    prompt = torch.tensor([tiny.prompt([3])])  # rows of items are 20 times as long as those of text
    free = tiny.model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=5, do_sample=False)
    assert (free[0, prompt.shape[1] :] >= tiny.vocabulary.first_item).any()  # else the test would show nothing
    labels = item_labels(tiny.catalog)
    without = write_text(tiny, "describe", item="003", how="greedy", length=5)
    assert not any(piece.text.strip() in labels for piece in without.pieces)
    some = write_text(tiny, "describe", item="003", how="greedy", length=5, items=True)
    assert any(piece.text.strip() in labels for piece in some.pieces)


def test_what_an_item_is_is_asked_as_training_teaches_it(reviewer, monkeypatch):
    ids, _ = asked(reviewer, monkeypatch, "describe", item="003")
    assert ids == text_group(reviewer, [(3, "Sand.")])["words"][0, :2].tolist()


def test_a_review_is_asked_as_training_teaches_it(reviewer, monkeypatch):
    ids, _ = asked(reviewer, monkeypatch, "review", item="003")
    assert ids == text_group(reviewer, [(3, "Sand.")], kind="review")["words"][0, :2].tolist()
    assert ids[1] == reviewer.vocabulary.first_mark + 1


def test_without_learned_reviews_the_error_says_how_to_train(tiny):
    with pytest.raises(ValueError, match="has not learned to write a review.*reviews="):
        write_text(tiny, "review", item="003")


def test_an_explanation_stands_behind_the_prompt_and_the_item(reviewer, monkeypatch):
    evening = {"time_of_day": "evening"}
    prompt = Prompt(history=("001", "002"), request="Slow", context=evening)
    ids, answer = asked(reviewer, monkeypatch, "explain", item="003", prompt=prompt)
    own = [reviewer.vocabulary.first_item + 3, reviewer.vocabulary.control("describe")]
    assert ids == [*reviewer.prompt([1, 2], request="Slow", context=evening), *own]
    assert (answer.n_cut_items, answer.n_cut_pieces) == (0, 0)
    nobody, _ = asked(reviewer, monkeypatch, "explain", item="003", prompt=Prompt())
    assert nobody == [reviewer.vocabulary.control("history"), *own]


@pytest.mark.parametrize("request_", ["", "a " * 100])
def test_a_prompt_is_cut_to_what_the_model_reads_and_the_answer_says_how_much(tiny, monkeypatch, request_):
    length = 250  # of 256 words; 4 are left for the prompt beside the item and <describe>
    prompt = Prompt(history=tuple(IDS), request=request_)
    ids, answer = asked(tiny, monkeypatch, "explain", item="003", prompt=prompt, length=length)
    assert len(ids) + length <= tiny.model.config.n_positions
    if request_:  # <history> is not said; one piece between <request> and <recommend>
        assert (answer.n_cut_items, answer.n_cut_pieces) == (10, len(encode(tiny.tokenizer, request_)) - 1)
    else:  # <history> and the newest three
        assert ids[1:4] == tiny.vocabulary.items([7, 8, 9]) and answer.n_cut_items == 10 - 3


def test_the_end_of_a_long_sentence_is_read_and_the_answer_says_how_much_is_missing(tiny, monkeypatch):
    sentence = "a " * 300 + "film about 科幻"
    ids, answer = asked(tiny, monkeypatch, "finish", sentence=sentence, length=6)
    whole = encode(tiny.tokenizer, sentence)
    assert ids == whole[-250:] and answer.n_cut_pieces == len(whole) - 250
    assert sentence.endswith(answer.begun) and answer.begun.endswith("film about 科幻")


def test_ten_megabytes_are_cut_quickly(tiny, monkeypatch):
    begin = time.perf_counter()
    ids, answer = asked(tiny, monkeypatch, "finish", sentence="🎬" * 2_500_000)
    assert len(ids) == 256 - 60 and answer.n_cut_pieces > 0
    assert time.perf_counter() - begin < 1


def test_a_finished_sentence_goes_on_where_it_broke_off(says):
    written = write_text(says(["ens", " land"]), "finish", sentence=" Ali ")
    assert written.begun + written.text == "Aliens land" and written.ended and written.item_id == ""


def test_letters_of_several_bytes_are_shown_whole(says):
    streamed = []
    written = write_text(says([" 雾é🎬👩‍🚀!"]), "describe", item="003", on_piece=streamed.append)
    assert written.text == "雾é🎬👩‍🚀!"
    assert streamed == ["雾", "é", "🎬", "👩", "\u200d", "🚀", "!"]


def test_bytes_that_are_no_letter_are_left_out(says):
    fox = "🦊".encode()
    written = write_text(says([" a", fox[:2], " b", fox[-1:], "c", fox, "\ufffd", fox[:3]]), "describe", item="003")
    assert written.text == "a bc🦊\ufffd"  # the sign for something broken is a letter where somebody wrote it


def test_a_piece_is_as_probable_as_its_words_together(tiny):
    written = write_text(tiny, "describe", item="003", how="greedy", length=1)
    words = torch.tensor([[*tiny.vocabulary.items([3]), tiny.vocabulary.control("describe")]])
    may = [*range(tiny.vocabulary.n_text), tiny.vocabulary.control("end")]
    with torch.inference_mode():
        chances = tiny.model(words).logits[0, -1, may].softmax(0)  # a second implementation
    assert written.pieces[0].probability == pytest.approx(float(chances.max()), rel=1e-4)


def test_a_letter_of_four_bytes_has_the_product_of_their_probabilities(says):
    recommender = says([b"x", "🦊".encode()], height=3.0)
    one = np.exp(3) / (np.exp(3) + recommender.vocabulary.n_text)  # among all text and <end>
    pieces = write_text(recommender, "describe", item="003", how="greedy").pieces
    assert [piece.probability for piece in pieces] == pytest.approx([one, one**4], rel=1e-5)


def test_words_that_are_told_one_late_as_on_apples_gpus_keep_their_own_probability(tiny, monkeypatch):
    words, size = tiny.tokenizer.encode("Alien Dune").ids, tiny.vocabulary.size

    def generate(ids, *, logits_processor, streamer, **_):
        told = [ids]
        for place, word in enumerate(words):
            logits = torch.zeros(1, size)
            logits[0, word] = 1.0 + place
            logits_processor[0](ids, logits)
            streamer.put(told[-1])
            told.append(torch.tensor([word]))
        streamer.put(told[-1])

    monkeypatch.setattr(tiny.model, "generate", generate)
    written = write_text(tiny, "describe", item="003")
    others = tiny.vocabulary.n_text  # all text but the word, and <end>
    expected = [np.exp(1.0 + place) / (np.exp(1.0 + place) + others) for place in range(len(words))]
    assert written.text == "Alien Dune"
    assert [piece.probability for piece in written.pieces] == pytest.approx(expected, rel=1e-5)


def test_stop_ends_within_one_piece(tiny):
    stop, streamed = threading.Event(), []

    def told(piece: str) -> None:
        streamed.append(piece)
        if len(streamed) == 3:
            stop.set()

    written = write_text(tiny, "describe", item="003", seed=1, stop=stop, on_piece=told)
    assert len(streamed) in (3, 4) and written.stopped and not written.ended
    at_once = write_text(tiny, "describe", item="003", seed=1, stop=stop)
    assert at_once.text == "" and at_once.stopped


def test_a_stop_that_comes_when_the_model_ends_has_stopped_nothing(says):
    stop = threading.Event()
    written = write_text(says([" a"]), "describe", item="003", stop=stop, on_piece=lambda _: stop.set())
    assert written.text == "a" and written.ended and not written.stopped


def test_an_error_while_a_piece_is_shown_leaves_the_lock_free(make_tiny):
    recommender = make_tiny()
    with pytest.raises(ZeroDivisionError):
        write_text(recommender, "describe", item="003", on_piece=lambda _: 1 / 0)
    got = []
    other = threading.Thread(
        target=lambda: got.append(recommender.lock.acquire(timeout=2)) or recommender.lock.release()
    )
    other.start()
    other.join()
    assert got == [True]


def test_html_in_titles_and_texts_stays_text(says, tiny_catalog):
    catalog = tiny_catalog.assign(title=["<b>Alien</b> & co", *tiny_catalog["title"][1:]])
    written = write_text(says([" Like", 0, " <i>but"], catalog=catalog), "describe", item="003", items=True)
    assert written.text == "Like <b>Alien</b> & co (1979) <i>but"


def test_a_letter_that_an_item_breaks_in_two_is_left_out(says):
    fox = "🦊".encode()
    written = write_text(says([" a", fox[:2], 0, fox[2:], "b"]), "describe", item="003", items=True)
    assert written.text == "a Alien (1979)b"


def test_an_item_of_several_words_is_written_whole_or_not_at_all(make_tiny):
    codes = tuple((row // 4, 3 + row % 4) for row in range(10))
    recommender = make_tiny(spelling=Spelling("semantic", tuple(IDS), codes, 7))
    words = recommender.vocabulary.item_words
    likes = torch.zeros(recommender.vocabulary.size)
    likes[words] = 50.0
    recommender.model.lm_head.register_forward_hook(lambda module, arguments, logits: logits + likes)
    labels = {f"{' ' * (place > 0)}{label}" for label in item_labels(recommender.catalog) for place in (0, 1)}
    for seed in range(5):
        written = write_text(recommender, "describe", item="003", items=True, seed=seed, length=21)
        shown = [piece.text for piece in written.pieces]
        assert len(shown) == 21 // 2 and set(shown) <= labels  # two words each; the half item at the end is none
        without = write_text(recommender, "describe", item="003", seed=seed, length=21)
        assert not any(piece.text in labels for piece in without.pieces)


def test_items_spelled_by_title_can_be_described(make_tiny, monkeypatch):
    recommender = make_tiny(spelling="title")
    assert write_text(recommender, "describe", item="003", length=5, items=True).pieces
    ids, _ = asked(recommender, monkeypatch, "describe", item="003")
    assert ids == [*recommender.vocabulary.spelled[3], recommender.vocabulary.control("describe")]


def test_the_special_token_of_a_published_vocabulary_is_never_written(gpt2_folder, tiny_catalog):
    recommender = start_recommender(tiny_catalog, base=str(gpt2_folder))
    special = recommender.tokenizer.token_to_id("<|endoftext|>")
    likes = torch.zeros(recommender.vocabulary.size)
    likes[special] = 50.0
    recommender.model.lm_head.register_forward_hook(lambda module, arguments, logits: logits + likes)
    for how in ("sample", "greedy"):
        assert "endoftext" not in write_text(recommender, "describe", item="003", how=how, length=20).text


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (("describe", {"item": "no such film"}), "'no such film' is not one of the 10"),
        (("describe", {}), "'describe' is asked with item; given: nothing"),
        (("finish", {"sentence": " \n\u3000"}), "'finish' is asked with sentence; given: nothing"),
        (("finish", {"sentence": "A", "item": "003"}), "given: item and sentence"),
        (("explain", {"item": "003"}), "asked with item and prompt; given: item"),
        (("explain", {"item": "003", "prompt": Prompt(history=("what",))}), "'what'"),
        (("sing", {"item": "003"}), r"'sing'; choose one of \['describe'"),
        (("describe", {"item": "003", "how": "beam"}), "'beam'"),
        (("describe", {"item": "003", "temperature": 0}), "temperature is 0"),
        (("describe", {"item": "003", "top_p": 1.5}), "top_p is 1.5"),
        (("describe", {"item": "003", "length": 0}), "length is 0"),
        (("describe", {"item": "003", "length": 300}), "300; the model reads 256 words: .* at most 254"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_error(tiny, question, message):
    with pytest.raises(ValueError, match=message):
        write_text(tiny, question[0], **question[1])


def test_what_was_learned_is_written_again():
    texts = ["A ship and a cat.", "宇航员去看一片会思考的海。"]
    catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Solaris"], "description": texts})
    recommender = start_recommender(catalog, layers=1, width=32, heads=2, dropout=0.0)
    steps = torch.optim.Adam(recommender.model.parameters(), lr=1e-2)
    batch = {"description": text_group(recommender, list(enumerate(texts)))}
    for _ in range(80):
        steps.zero_grad()
        sentence_loss(recommender.model.transformer, batch, vocabulary=recommender.vocabulary)["total"].backward()
        steps.step()
    for item, text in zip("ab", texts, strict=True):
        written = write_text(recommender, "describe", item=item, how="greedy")
        assert written.text == text and written.ended
