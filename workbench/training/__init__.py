"""Sentences become weights: fine-tuning, resume, saved runs."""

from workbench.training.config import TrainingConfig
from workbench.training.examples import read_words, show_sentences, show_spellings
from workbench.training.fine_tune import fine_tune
from workbench.training.runs import saved_run
from workbench.training.text_start import read_texts

__all__ = ["TrainingConfig", "fine_tune", "read_texts", "read_words", "saved_run", "show_sentences", "show_spellings"]
