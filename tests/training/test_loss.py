"""The loss equals the textbook's, in value and gradient, however it is cut."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from workbench.language import Vocabulary, spell
from workbench.language.trie import build_trie
from workbench.models.generation.constraint import trie_table
from workbench.models.repeats import rows_in
from workbench.models.start import start_recommender
from workbench.training import loss as module
from workbench.training.batches import Sentences
from workbench.training.fine_tune import untrained
from workbench.training.loss import path_loss, restricted_cross_entropy, sentence_loss
from workbench.training.windows import NO_TARGET


def drawn(n: int, words: int, width: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(n)
    return torch.randn(n, width), torch.randn(words, width), torch.randint(words, (n,))


def both(hidden, rows, targets, function):
    hidden, rows = hidden.clone().requires_grad_(), rows.clone().requires_grad_()
    value = function(hidden, rows, targets)
    (3 * value).backward()  # a factor from outside, as the weights of the sentences are
    return value.detach(), hidden.grad, rows.grad


def textbook(hidden, rows, targets):
    return cross_entropy(hidden @ rows.T, targets)


@pytest.mark.parametrize("chunk", [1, 7, 64, 65, 2048])
@pytest.mark.parametrize(("n", "words"), [(1, 2), (64, 30), (65, 5)])
def test_chunks_give_the_textbooks_value_and_gradients(monkeypatch, chunk, n, words):
    monkeypatch.setattr(module, "CHUNK", chunk)
    ours = both(*drawn(n, words), restricted_cross_entropy)
    for mine, theirs in zip(ours, both(*drawn(n, words), textbook), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


def test_gradients_pass_numerical_differentiation():
    hidden, rows, targets = drawn(5, 4, width=3)
    hidden, rows = hidden.double().requires_grad_(), rows.double().requires_grad_()
    step = lambda h, r: restricted_cross_entropy(h, r, targets, dtype=torch.float64)  # noqa: E731
    assert torch.autograd.gradcheck(step, (hidden, rows), eps=1e-3, atol=1e-2)  # sums are float32


def test_bf16_is_close():
    exact = both(*drawn(200, 50), textbook)
    rough = both(*drawn(200, 50), lambda h, r, t: restricted_cross_entropy(h, r, t, dtype=torch.bfloat16))
    assert rough[0].item() == pytest.approx(exact[0].item(), rel=0.01)
    for mine, theirs in zip(rough[1:], exact[1:], strict=True):
        assert mine.dtype == torch.float32
        assert (mine - theirs).norm() < 0.03 * theirs.norm()


def test_rows_that_were_certain_to_be_drawn_change_nothing():
    hidden, rows, targets = drawn(64, 30)
    certain = restricted_cross_entropy(hidden, rows, targets, log_chances=torch.zeros(30))
    torch.testing.assert_close(certain, restricted_cross_entropy(hidden, rows, targets))


def test_a_row_drawn_with_chance_one_third_stands_for_three_but_for_itself_alone_where_it_follows():
    hidden, rows, _ = drawn(1, 2)
    scores = (hidden @ rows.T)[0]
    log_chances = torch.tensor([1 / 3, 1 / 3]).log()
    loss = restricted_cross_entropy(hidden, rows, torch.tensor([0]), log_chances=log_chances)
    torch.testing.assert_close(loss, (scores[0].exp() + 3 * scores[1].exp()).log() - scores[0])


def test_the_sum_over_drawn_rows_is_on_average_the_sum_over_all():
    hidden, rows, targets = drawn(1, 40)
    rng, n, target = np.random.default_rng(0), 10, int(targets[0])
    whole = (hidden @ rows.T)[0].exp().sum()
    sums = []
    for _ in range(4_000):
        chosen = np.union1d(rng.choice(40, size=n, replace=False), [target])
        own = torch.tensor([int(np.searchsorted(chosen, target))])
        log_chances = torch.full((len(chosen),), n / 40).log()
        loss = restricted_cross_entropy(hidden, rows[chosen], own, log_chances=log_chances)
        sums.append((loss + (hidden @ rows.T)[0, target]).exp())
    assert torch.stack(sums).mean().item() == pytest.approx(whole.item(), rel=0.02)


@pytest.mark.parametrize("chunk", [3, 64])
def test_gradients_with_drawn_rows_are_those_of_the_corrected_scores(monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    log_chances = torch.linspace(-3, 0, 12)

    def corrected(hidden, rows, targets):
        scores = hidden @ rows.T
        own = torch.nn.functional.one_hot(targets, 12)
        return cross_entropy(scores - log_chances * (1 - own), targets)

    ours = both(*drawn(20, 12), lambda h, r, t: restricted_cross_entropy(h, r, t, log_chances=log_chances))
    for mine, theirs in zip(ours, both(*drawn(20, 12), corrected), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("chunk", [3, 64])
def test_words_that_cannot_follow_take_no_part_unless_they_followed(monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    out = torch.tensor([[3, 3, -1], [7, 0, 11], [-1, -1, -1], [1, 2, 3]]).repeat(5, 1)  # (20, 3)

    def without(hidden, rows, targets):
        gone = torch.zeros(20, 12, dtype=torch.bool)
        for row, own in enumerate(out.tolist()):
            gone[row, [word for word in own if word >= 0 and word != targets[row]]] = True
        return cross_entropy((hidden @ rows.T).masked_fill(gone, -torch.inf), targets)

    ours = both(*drawn(20, 12), lambda h, r, t: restricted_cross_entropy(h, r, t, out=out))
    for mine, theirs in zip(ours, both(*drawn(20, 12), without), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


def test_what_was_read_is_not_pushed_away():
    hidden, rows, targets = drawn(20, 12)
    out, targets = torch.full((20, 1), 5), targets.where(targets != 5, 4)
    *_, pushed = both(hidden, rows, targets, lambda h, r, t: restricted_cross_entropy(h, r, t, out=out))
    assert not pushed[5].any() and pushed[4].any()


@pytest.mark.parametrize("negatives", [0, 20])
def test_where_nobody_meets_an_item_twice_the_loss_is_that_of_items_not_read(wanderings, tiny_config, negatives):
    config = replace(tiny_config, negatives=negatives)
    recommender = untrained(wanderings, base="small", spelling="atomic", config=config)
    assert recommender.model.config.each_item_once
    words, sentences = recommender.vocabulary, Sentences(recommender, wanderings, config)
    group = sentences[0]["history"]
    loss = sentence_loss(recommender.model.transformer, {"history": group}, vocabulary=words)["history"]
    costs = []
    for row, targets in zip(group["words"].tolist(), group["targets"].tolist(), strict=True):
        for place, target in enumerate(targets):
            if target != NO_TARGET:
                chances = recommender.item_scores([row[: place + 1]])[0]
                assert chances.exp()[rows_in(row[: place + 1], words)].sum() == 0
                costs.append(-float(chances[target].detach()))
    near = 0.1 if negatives else 1e-4  # drawn rows estimate the sum
    assert float(loss.detach()) == pytest.approx(float(np.mean(costs)), abs=near)


def test_no_positions_cost_nothing():
    hidden, rows, _ = drawn(3, 4)
    assert restricted_cross_entropy(hidden[:0], rows, torch.zeros(0, dtype=torch.long)) == 0


def test_extreme_scores_stay_finite():
    hidden, rows, targets = drawn(4, 5)
    for value in both(1e4 * hidden, rows, targets, restricted_cross_entropy):
        assert torch.isfinite(value).all()


@pytest.fixture
def batch(cycles, tiny_config):
    recommender = start_recommender(cycles.dataset.catalog, layers=1, width=16, heads=2, dropout=0.0)
    return recommender, next(
        b for b in map(Sentences(recommender, cycles, tiny_config).__getitem__, range(20)) if len(b) == 4
    )


def test_each_kind_of_sentence_is_scored_against_the_words_that_could_stand_there(batch):
    recommender, groups = batch
    words, rows = recommender.vocabulary, recommender.model.transformer.wte.weight
    losses = sentence_loss(recommender.model.transformer, groups, vocabulary=words)
    for name, group in groups.items():
        hidden = recommender.model.transformer(group["words"]).last_hidden_state
        if "chances" in group:
            hidden = hidden[range(len(hidden)), group["ends"]]
        text = name == "description"
        logits = hidden @ (rows[: words.first_item] if text else rows[words.first_item :]).T
        if name == "wish":
            expected = cross_entropy(logits, group["chances"])
        else:
            expected = cross_entropy(logits.flatten(0, -2), group["targets"].flatten(), ignore_index=-100)
        torch.testing.assert_close(losses[name], expected, atol=1e-5, rtol=1e-5)
    total = sum(module.WEIGHTS[name] * losses[name] for name in groups)
    torch.testing.assert_close(losses["total"], total)


def test_what_stands_in_the_padding_changes_no_loss(batch):
    recommender, groups = batch
    before = sentence_loss(recommender.model.transformer, groups, vocabulary=recommender.vocabulary)
    for name in ("history", "wish_after_history"):
        group = groups[name]
        wider = torch.nn.functional.pad(group["words"], (0, 5), value=7)
        groups[name] = {**group, "words": wider}
        groups[name]["targets"] = torch.nn.functional.pad(group["targets"], (0, 5), value=-100)
    after = sentence_loss(recommender.model.transformer, groups, vocabulary=recommender.vocabulary)
    for name in before:
        torch.testing.assert_close(after[name], before[name], atol=1e-5, rtol=1e-5)


def test_even_scores_cost_the_logarithm_of_the_number_of_items(cycles):
    words = Vocabulary(300, spell(cycles.dataset.catalog))
    rows = torch.zeros(words.size, 4)
    value = restricted_cross_entropy(torch.ones(5, 4), rows[words.first_item :], torch.arange(5))
    assert value.item() == pytest.approx(torch.tensor(12.0).log().item())


TRIE = build_trie([(0, 1, 9), (0, 1, 8), (0, 2), (3, 1), (3, 4, 5, 6), (7,)])


def walked(hidden, rows, edges):
    """The loss as the definition has it: each edge among those that leave the same node, over the number of items."""
    costs = []
    for state, edge in zip(hidden, edges.tolist(), strict=True):
        others = np.flatnonzero(TRIE.parents == TRIE.parents[edge])
        costs.append((rows[TRIE.words[others]] @ state).logsumexp(0) - rows[TRIE.words[edge]] @ state)
    return sum(costs) / int((edges < TRIE.first_edges[1]).sum())


def test_an_item_costs_what_its_path_costs_with_gradients():
    torch.manual_seed(0)
    edges = torch.tensor([edge for path in TRIE.paths for edge in path if edge >= 0])  # every item once
    rows, hidden = torch.randn(10, 4), torch.randn(len(edges), 4)
    ours = both(hidden, rows, edges, lambda h, r, e: path_loss(h, r, e, trie=TRIE))
    for mine, theirs in zip(ours, both(hidden, rows, edges, walked), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


def test_a_word_that_is_certain_costs_nothing_whatever_it_scores():
    certain = [edge for edge in range(len(TRIE.words)) if (TRIE.parents == TRIE.parents[edge]).sum() == 1]
    edges = torch.tensor([0, *certain])  # 0 begins an item
    hidden = torch.randn(len(edges), 4)
    alone = path_loss(hidden[:1], torch.randn(10, 4, generator=torch.Generator().manual_seed(1)), edges[:1], trie=TRIE)
    whole = path_loss(hidden, torch.randn(10, 4, generator=torch.Generator().manual_seed(1)), edges, trie=TRIE)
    assert len(certain) >= 2 and float(whole) == pytest.approx(float(alone), abs=1e-6)


def test_a_trie_that_generation_has_read_can_still_be_learned_from():
    with torch.inference_mode():
        trie = build_trie([(0, 1), (0, 2), (3, 1)])  # a trie of its own, so that its tensors are made here
        trie_table(trie, torch.device("cpu"))
    hidden, rows = torch.randn(2, 4, requires_grad=True), torch.randn(4, 4, requires_grad=True)
    path_loss(hidden, rows, torch.tensor([0, 2]), trie=trie).backward()
    assert hidden.grad.abs().sum() > 0 and rows.grad.abs().sum() > 0
