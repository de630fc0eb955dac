"""Change the prompt, and see the list change."""
