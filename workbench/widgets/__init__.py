"""Widgets: controls that call the rooms below."""

from workbench.widgets.attention.attention_viewer import AttentionViewer
from workbench.widgets.device_badge import DeviceBadge
from workbench.widgets.explorer.embedding_explorer import EmbeddingExplorer
from workbench.widgets.playground.prompt_playground import PromptPlayground
from workbench.widgets.training.training_monitor import TrainingMonitor
from workbench.widgets.writer.text_writer import TextWriter

__all__ = ["AttentionViewer", "DeviceBadge", "EmbeddingExplorer", "PromptPlayground", "TextWriter", "TrainingMonitor"]
