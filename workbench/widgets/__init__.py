"""Widgets: controls that call the rooms below."""

from workbench.widgets.attention_viewer import AttentionViewer

__all__ = ["AttentionViewer"]
