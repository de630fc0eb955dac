"""The next batch is made while the step before it computes.

Making one is Python and takes one processor; most of a step is arithmetic that lets Python run beside it, on a GPU all.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from torch.utils.data import Dataset

from workbench.training.batches import Batch


@contextmanager
def made_ahead(batches: Dataset) -> Iterator[Dataset]:
    """The same batches; whoever takes one has the next one made in a thread, which ends with the block.

    The thread makes one batch at a time, so nothing that a batch is made with needs a lock. What goes wrong there is
    raised where the batch is taken.

    Example:
        >>> with made_ahead(["first", "second"]) as batches:
        ...     [batches[0], batches[1]]
        ['first', 'second']
    """
    with ThreadPoolExecutor(1, thread_name_prefix="workbench-batches") as thread:
        yield _MadeAhead(batches, thread)


class _MadeAhead(Dataset):
    """Batches that are asked for in order, mostly."""

    def __init__(self, batches: Dataset, thread: ThreadPoolExecutor) -> None:
        self.batches, self.thread = batches, thread
        self.begun: dict[int, Future[Batch]] = {}  # by step; at most one

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> Batch:
        batch = self.begun.pop(step, None) or self._begin(step)
        self.begun = {step + 1: self._begin(step + 1)} if step + 1 < len(self) else {}
        return batch.result()

    def _begin(self, step: int) -> Future[Batch]:
        return self.thread.submit(self.batches.__getitem__, step)
