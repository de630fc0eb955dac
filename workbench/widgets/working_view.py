"""A view whose answers come from a worker: what the playground and the text writer share."""

from workbench.widgets.view import View
from workbench.widgets.worker import Worker


class WorkingView(View):
    """A view that orders from a worker and shows what comes.

    Attributes:
        worker: Who asks the model; whoever builds a view sets it.
    """

    worker: Worker

    def say(self, sentence: str) -> None:
        """Put a sentence on the status line; that an error is a ``ValueError`` helps nobody."""
        super().say(sentence.replace("failed: ValueError: ", "failed: "))

    def close(self) -> None:
        """End the worker too."""
        if hasattr(self, "worker"):  # what could not be made is closed as well
            self.worker.close()
        super().close()

    def _repr_html_(self) -> str:
        """Return what stands in the view's place where it cannot be drawn."""
        return self.still()[1]
