"""Widgets: controls that call the rooms below."""

from workbench.widgets.attention_viewer import AttentionViewer
from workbench.widgets.embedding_explorer import EmbeddingExplorer

__all__ = ["AttentionViewer", "EmbeddingExplorer"]
