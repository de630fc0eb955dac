"""Widgets: controls that call the rooms below."""
