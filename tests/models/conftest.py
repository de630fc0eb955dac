"""What the model tests share: a tiny checkpoint with GPT-2's own vocabulary."""

import shutil
from pathlib import Path

import pytest
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel


@pytest.fixture(scope="session")
def gpt2_folder(datasets_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of one narrow layer behind the 50,257 pieces of the published GPT-2."""
    folder = tmp_path_factory.mktemp("gpt2")
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(datasets_folder / "gpt2-vocab" / name, folder / name)
    GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=256)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder
