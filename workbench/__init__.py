"""A Jupyter workbench for recommenders that are language models.

The house, room by room; a room imports only rooms above it:

- ``workbench.catalogs``: what there is, and who met it when: tables in, splits out
- ``workbench.evaluation``: honest numbers: metrics, protocol card, leak checks, intervals
- ``workbench.language``: items and people become sentences: spelling, trie, prompts, tokenizer
- ``workbench.models``: everything that can rank: counting models and GPT-2
- ``workbench.training``: sentences become weights: fine-tuning, resume
- ``workbench.insight``: looking inside: maps, groups, attention, attribution
- ``workbench.plots``: draws and saves; never fits anything
- ``workbench.widgets``: controls that call the rooms above; one worker

Importing this package imports nothing heavy: ``python -m workbench`` runs on a bare Python.
"""

__version__ = "0.1.0"
