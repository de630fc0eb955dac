"""Where the weights begin: ``small`` (random, offline) or a published GPT-2 that gains item words."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from workbench.language import PromptTemplate, Spelling, Vocabulary, spell, train_tokenizer
from workbench.language.tokenizer import encode, plain_text_only
from workbench.language.vocabulary import Mark
from workbench.language.wording import COUNTRY_WORDS, FRAMES, GENRE_WORDS, decade_words, wording_texts
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.marks import SCALE
from workbench.models.saved_run import read_weights
from workbench.models.text import TEXT_COLUMNS

ATTRIBUTE_COLUMNS = ("genres", "country", "director", "series")


def start_recommender(
    catalog: pd.DataFrame,
    *,
    base: str = "small",
    spelling: str | Spelling = "atomic",
    marks: Sequence[Mark] = (),
    layers: int = 2,
    width: int = 160,
    heads: int = 2,
    dropout: float = 0.15,
    max_history: int = 200,
    seed: int = 0,
) -> GPT2Recommender:
    """A recommender that has learned nothing from interactions yet.

    Args:
        catalog: Catalog table; its texts train the tokenizer of ``base="small"``.
        base: ``"small"``: random weights of the given shape; otherwise a hub id such as ``"gpt2"`` or a folder, with
            its own weights (safetensors only), tokenizer and shape; the four shape arguments then do not apply.
        spelling: How items are written: ``"atomic"``, ``"title"``, or what :func:`workbench.language.spell` made.
        marks: What prompts can say of context and profile, (part, column, value).
        layers: Transformer blocks.
        width: Size of a hidden state, ``d_model``.
        heads: Attention heads; they share ``width``.
        dropout: Share dropped after the embedding and after each block; attention weights are never dropped, which
            keeps the fused attention kernel.
        max_history: Items of a history the prompt keeps.
        seed: For the random rows.

    Raises:
        ValueError: If the base is no GPT-2, has no safetensors, or too few positions.
        OSError: If the base cannot be found.

    Example:
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> recommender = start_recommender(catalog, layers=1, width=16, heads=2)
        >>> recommender.rank({"ann": ["a"]}, k=5)["item_id"].tolist()
        ['b']
    """
    template = PromptTemplate(max_history=max_history)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if base == "small":
            tokenizer = train_tokenizer(catalog_texts(catalog))
            spelled = _spelled(catalog, spelling, tokenizer)
            vocabulary = Vocabulary(tokenizer.get_vocab_size(), spelled, tuple(marks))
            model = _random_model(vocabulary, template, layers=layers, width=width, heads=heads, dropout=dropout)
            _start_alike(model.transformer.wte.weight, vocabulary, tokenizer, catalog)
            _hand_on(model)
        else:
            model, tokenizer = _published_model(base)
            spelled = _spelled(catalog, spelling, tokenizer)
            vocabulary = Vocabulary(model.config.vocab_size, spelled, tuple(marks))
            if model.config.n_positions < longest_sentence(vocabulary, template):
                raise ValueError(
                    f"{base!r} reads {model.config.n_positions} words, the prompt needs "
                    f"{longest_sentence(vocabulary, template)}. Lower max_history; a history with a request always "
                    f"needs {longest_sentence(vocabulary, PromptTemplate(max_history=1))}."
                )
            _add_words(model, vocabulary, tokenizer, catalog)
    if marks:
        model.config.mark_scale = SCALE  # saved with the run: one that was begun without hears marks by attention only
    start = {"small": "random"}.get(base, f"hub ({Path(base).name})")
    return GPT2Recommender(
        model.eval(), tokenizer=tokenizer, vocabulary=vocabulary, template=template, catalog=catalog, start=start
    )


def longest_sentence(vocabulary: Vocabulary, template: PromptTemplate) -> int:
    """Words of the longest prompt with every mark said, and of the longest item behind it where it takes several."""
    columns = {(part, column) for part, column, _ in vocabulary.marks}
    item = vocabulary.trie.longest
    return template.max_words + len(columns) + (item if item > 1 else 0)


def _spelled(catalog: pd.DataFrame, spelling: str | Spelling, tokenizer: Tokenizer) -> Spelling:
    """The spelling itself, if it is of this catalog."""
    if isinstance(spelling, str):
        return spell(catalog, how=spelling, tokenizer=tokenizer)
    if spelling.items != tuple(catalog["item_id"].astype(str)):
        raise ValueError(
            f"this spelling is of a catalog of {len(spelling.items):,} items that is not the one given "
            f"({len(catalog):,} items). Make it of this catalog: spell(catalog, ...)."
        )
    return spelling


def catalog_texts(catalog: pd.DataFrame) -> list[str]:
    """Every text the tokenizer should know: the catalog's own columns, and the words of requests in lower case."""
    own = [text for column in TEXT_COLUMNS if column in catalog for text in catalog[column].dropna().astype(str)]
    frames = [frame.format(what="") for language in FRAMES.values() for frame in language]
    return own + [text.lower() for text in own] + 20 * (frames + wording_texts())


def _random_model(
    vocabulary: Vocabulary, template: PromptTemplate, *, layers: int, width: int, heads: int, dropout: float
) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=vocabulary.size,
        n_positions=max(256, longest_sentence(vocabulary, template)),
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=0.0,
        activation_function="gelu_pytorch_tanh",  # the same curve as gelu_new in one fused operation
        bos_token_id=vocabulary.control("history"),
        eos_token_id=vocabulary.control("end"),
    )
    return GPT2LMHeadModel(config)


def _published_model(base: str) -> tuple[GPT2LMHeadModel, Tokenizer]:
    folder = Path(base)
    if folder.is_dir() and not list(folder.glob("*.safetensors")):
        raise ValueError(
            f"{base} holds no .safetensors file: {sorted(path.name for path in folder.iterdir())[:8]}. Weights in "
            "pickle files (.bin, .pt) are never opened; save the model again with save_pretrained (safetensors)."
        )
    try:
        kind = AutoConfig.from_pretrained(base, trust_remote_code=False).model_type
        if kind != "gpt2":
            raise ValueError(f"{base!r} is a {kind!r} model; this recommender is a GPT-2. Choose a gpt2 checkpoint.")
        tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
        model = read_weights(base)
    except OSError as error:
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        raise OSError(
            f"no GPT-2 could be loaded from {base!r}{offline}: it is neither a folder with config.json, tokenizer and "
            "model.safetensors, nor a hub id that can be reached from here. Offline, base='small' always works."
        ) from error
    pieces = max(tokenizer.backend_tokenizer.get_vocab().values()) + 1
    if not 256 <= pieces <= model.config.vocab_size:  # without its files, transformers makes a tokenizer of one word
        raise ValueError(
            f"the tokenizer of {base!r} has {pieces} pieces, its model {model.config.vocab_size} rows; byte-level BPE "
            "has 256 or more, and none without a row. Put the tokenizer.json that belongs to the weights beside them."
        )
    model.config.attn_pdrop = 0.0
    for block in model.transformer.h:
        block.attn.attn_dropout.p = 0.0
    return model, plain_text_only(tokenizer.backend_tokenizer)


@torch.no_grad()
def _add_words(model: GPT2LMHeadModel, vocabulary: Vocabulary, tokenizer: Tokenizer, catalog: pd.DataFrame) -> None:
    """New rows: control words and marks at random, each item word at the mean of its items' titles in word pieces."""
    spread = float(model.transformer.wte.weight.std())
    model.resize_token_embeddings(vocabulary.size, mean_resizing=False)
    rows = model.transformer.wte.weight
    rows[vocabulary.n_text :].normal_(std=spread)
    titles = [encode(tokenizer, title) for title in catalog["title"].astype(str)]
    for word, owners in _owners(vocabulary):
        means = [rows[titles[row]].mean(0) for row in owners if titles[row]]
        if means:  # a little noise tells apart two films of one title
            rows[word] = sum(means) / len(means) + 0.1 * rows[word]


def _owners(vocabulary: Vocabulary) -> list[tuple[int, list[int]]]:
    """Id of every item word that an item uses, and the catalog rows of the items that do."""
    owners: dict[int, list[int]] = {}
    for row, code in enumerate(() if vocabulary.spelling.in_text else vocabulary.spelled):
        for word in code:
            owners.setdefault(word, []).append(row)
    return sorted(owners.items())


@torch.no_grad()
def _start_alike(rows: torch.Tensor, vocabulary: Vocabulary, tokenizer: Tokenizer, catalog: pd.DataFrame) -> None:
    """Add to each random item row the random rows of its attributes' words: what is alike, or said so, begins alike.

    The row of a word that several items share gets the mean of what theirs would get.
    """
    texts = [
        [encode(tokenizer, text) for text in (_attributes(item), _said(item))] for item in catalog.to_dict("records")
    ]
    for word, owners in _owners(vocabulary):
        for kind in (0, 1):
            every = [texts[row][kind] for row in owners if texts[row][kind]]
            if every:  # each as long as a row, however many pieces
                rows[word] += sum(rows[pieces].sum(0) / len(pieces) ** 0.5 for pieces in every) / len(every)


@torch.no_grad()
def _hand_on(model: GPT2LMHeadModel) -> None:
    """Let one head of the first block begin by handing on what it reads, so that a wish's words reach its end at once.

    Value times projection begins at half an identity on the head's share of the width, after Trockman and Kolter (2023,
    "Mimetic initialization of self-attention layers"). From rows of size 0.02, GPT-2's own start, attention carries
    next to nothing at a small width, and requests and long histories are learned late.
    """
    width, attention = model.config.n_embd, model.transformer.h[0].attn
    size = width // model.config.n_head
    directions = torch.nn.init.orthogonal_(torch.empty(width, size))  # (d_model, d_head)
    attention.c_attn.weight[:, 2 * width : 2 * width + size] += 0.5**0.5 * directions
    attention.c_proj.weight[:size] += 0.5**0.5 * directions.T


def _attributes(item: dict) -> str:
    """Genres, country, director, series and decade of an item, in lower case, as far as the catalog has them."""
    words = [str(item[name]) for name in ATTRIBUTE_COLUMNS if isinstance(item.get(name), str)]
    return " ".join([*words, *decade_words(item.get("year"))[:1]]).replace("|", " ").lower()


def _said(item: dict) -> str:
    """How people say the item's genres, country and decade, in English and Chinese."""
    genres = item["genres"].split("|") if isinstance(item.get("genres"), str) else []
    named = [GENRE_WORDS.get(genre, {}) for genre in genres] + [COUNTRY_WORDS.get(item.get("country"), {})]
    words = [word for names in named for group in names.values() for word in group]
    return " ".join(words + decade_words(item.get("year"))[1:])
