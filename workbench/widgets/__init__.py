"""Widgets: controls that call the rooms below."""

from workbench.widgets.embedding_explorer import EmbeddingExplorer

__all__ = ["EmbeddingExplorer"]
