"""Widgets: controls that call the rooms below."""

from workbench.widgets.attention_viewer import AttentionViewer
from workbench.widgets.device_badge import DeviceBadge
from workbench.widgets.embedding_explorer import EmbeddingExplorer
from workbench.widgets.prompt_playground import PromptPlayground
from workbench.widgets.training_monitor import TrainingMonitor

__all__ = ["AttentionViewer", "DeviceBadge", "EmbeddingExplorer", "PromptPlayground", "TrainingMonitor"]
