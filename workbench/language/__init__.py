"""Items and people become sentences: spelling, vocabulary, prompts, tokenizer, requests."""

from workbench.language.prompts import Prompt, PromptTemplate
from workbench.language.requests import request_table
from workbench.language.spelling import Spelling, spell
from workbench.language.tokenizer import train_tokenizer
from workbench.language.vocabulary import Vocabulary

__all__ = ["Prompt", "PromptTemplate", "Spelling", "Vocabulary", "request_table", "spell", "train_tokenizer"]
