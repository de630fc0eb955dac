"""The one thread that works for a live view: callbacks only ask, the newest request wins, Stop is an event."""

import gc
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

import torch

from workbench.widgets.view import describe_error

HALVED = "out of memory; done again with half the batch"
TOO_LARGE = (
    "out of memory, with half the batch too. Ask for less (a shorter history, fewer places, fewer beams), or restart "
    "the kernel to free what earlier cells hold."
)
NO_MEMORY = ("out of memory", "can't allocate memory")  # what torch says on CUDA and MPS, and on CPU


@dataclass(frozen=True)
class Answer:
    """What became of one request.

    Attributes:
        number: Sequence number of the request.
        result: What the work returned, partial if it was stopped; None when it failed.
        error: One sentence; empty when it did not fail.
        stopped: Stop ended it early, so the result is partial.
        seconds: How long the work took.
        note: What else there is to know, such as that memory ran out once.
    """

    number: int
    result: Any
    error: str
    stopped: bool
    seconds: float
    note: str = ""


class Worker:
    """One thread, a queue of length one, and an event for Stop.

    Some kernels run callbacks between cells, others in a second thread beside a running cell, and Interrupt reaches no
    thread but the main one. So callbacks only call ``ask`` and ``stop``, and answers come through ``show``, which sets
    traits. The thread starts at the first request, does not keep its owner alive, and ends with it.

    Attributes:
        number: Sequence number of the newest request; 0 before the first.

    Example:
        >>> def count(request, stop, halved):
        ...     return list(range(request))
        >>> worker = Worker(count, show=lambda answer: print(answer.number, answer.result), live=False)
        >>> worker.ask(3)
        1 [0, 1, 2]
        1
    """

    def __init__(
        self,
        work: Callable[[Any, threading.Event, bool], Any],
        *,
        show: Callable[[Answer], None],
        tell: Callable[[str], None] | None = None,
        live: bool = True,
    ) -> None:
        """Nothing runs yet.

        Args:
            work: ``work(request, stop, halved)`` looks at ``stop`` at every step and, once it is set, returns what it
                has; ``halved`` is True when memory ran out the first time: half the batch should do.
            show: Called with the answer to the newest request, one at a time, never with a stale one. What is asked
                while it runs is answered after it. No lock is held, so it may take the view's.
            tell: Called with each new state, one at a time, in this thread or in one that asks or stops.
            live: False answers in the thread that asks, before ``ask`` returns, by the same rules.
        """
        self.number = 0
        self._work, self._show, self._tell, self._live = work, show, tell, live
        self._changed = threading.Condition()  # guards what follows; not held while a callback runs, which may lock too
        self._waiting: tuple[int, Any] | None = None
        self._running: threading.Event | None = None  # once set, the work ends at its next step
        self._stopped = self._failed = self._closed = self._telling = False
        self._told = "idle"
        self._thread: threading.Thread | None = None
        self._bell: SimpleQueue = SimpleQueue()  # True: a request waits; None: the end. Garbage collection may ring it
        self._end = weakref.finalize(self, self._bell.put, None)

    @property
    def state(self) -> str:
        """In a word: "idle", "running", "stopping", or "failed" until the next request."""
        with self._changed:
            if self._waiting or self._running:
                return "stopping" if self._stopped else "running"
            return "failed" if self._failed else "idle"

    def ask(self, request: Any) -> int:
        """Put a request in the place of one that waits; one that runs is told to end, and its answer is never shown.

        Returns:
            The sequence number of the request.

        Raises:
            RuntimeError: If the worker is closed.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("this view is closed; run its cell again for a new one.")
            self.number = number = self.number + 1
            self._waiting, self._stopped = (number, request), False
            if self._running:
                self._running.set()
        try:
            self._announce()  # before the work begins, so that "running" is told even if it takes no time
        finally:
            if self._live:
                self._ring()
        if not self._live:
            self._work_off()
        return number

    def stop(self) -> None:
        """Drop what waits; what runs ends at its next step, and what it has by then is shown."""
        with self._changed:
            self._waiting, self._stopped = None, True
            if self._running:
                self._running.set()
        self._announce()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until nothing waits, runs or is left to tell; False if that takes longer than ``seconds``."""
        with self._changed:
            return self._changed.wait_for(self._is_settled, seconds)

    def close(self) -> None:
        """End the thread, at the next step of what runs; nothing is shown any more."""
        with self._changed:
            self._closed = True
        self.stop()
        self._end()

    def _is_settled(self) -> bool:
        """Whether nothing waits or runs, and the state was told."""
        return not (self._waiting or self._running or self._telling) and self._told == self.state

    def _ring(self) -> None:
        """Wake the thread, or start it; one ring is enough for any number of requests."""
        with self._changed:
            if self._closed:
                return
            if self._bell.empty():
                self._bell.put(True)
            if self._thread is None or not self._thread.is_alive():
                given = (self._bell, weakref.ref(self))
                self._thread = threading.Thread(target=_serve, args=given, name="workbench worker", daemon=True)
                self._thread.start()

    def _work_off(self) -> None:
        """Answer what waits until nothing does, unless that is being done already."""
        while True:
            with self._changed:
                if self._running or not self._waiting:
                    return
                (number, request), self._waiting = self._waiting, None
                self._running = stop = threading.Event()
            failed = None
            try:
                failed = self._answer(number, request, stop)
            finally:
                with self._changed:
                    self._running, self._failed = None, failed is not False
                    if failed is None:  # an interrupt, where nothing is live, ends what waits as well
                        self._waiting = None
                self._announce()

    def _answer(self, number: int, request: Any, stop: threading.Event) -> bool:
        """Do the work, and show what came of it unless it is stale by then; whether that failed."""
        begun = time.perf_counter()
        result, error, note = _attempt(self._work, request, stop)
        answer = Answer(number, result, error, self._stopped, time.perf_counter() - begun, note)
        unshown = self._deliver(answer)
        if unshown:  # the view can at least say so
            error = f"the answer could not be shown: {unshown}"
            self._deliver(replace(answer, result=None, error=error))
        return bool(error) and number == self.number

    def _deliver(self, answer: Answer) -> str:
        """Show an answer unless it is stale; the sentence of what went wrong in that, or nothing."""
        if answer.number != self.number or self._closed:
            return ""
        return _call(self._show, answer)

    def _announce(self) -> None:
        """Tell the state if it is new; whoever tells goes on for those who come meanwhile, so the last word is true."""
        while True:
            with self._changed:
                state = self.state
                if self._telling or self._told == state:
                    self._changed.notify_all()
                    return
                self._told, self._telling = state, True
            try:
                if self._tell:
                    _call(self._tell, state)
            finally:
                with self._changed:
                    self._telling = False


def _serve(bell: SimpleQueue, owner: weakref.ref) -> None:
    """Work whenever the bell rings, until it rings for the end; between requests nothing here holds the owner."""
    while bell.get():
        worker = owner()
        if worker is None:
            return
        worker._work_off()
        del worker


def _attempt(work: Callable[..., Any], request: Any, stop: threading.Event) -> tuple[Any, str, str]:
    """What the work returns, the sentence of its error, and a note; tried twice when memory runs out."""
    for halved, note in ((False, ""), (True, HALVED)):
        try:
            return work(request, stop, halved), "", note
        except (Exception, SystemExit) as error:  # sys.exit() would end the thread
            sentence, no_memory = describe_error(error), is_out_of_memory(error)
            _forget(error)
        if not no_memory:
            return None, sentence, note
        gc.collect()
        torch.cuda.empty_cache()  # does nothing where CUDA was not used
        if torch.backends.mps.is_available():
            torch.mps.empty_cache()
    return None, TOO_LARGE, ""


def _call(function: Callable[[Any], None], value: Any) -> str:
    """Call a function of the view; the sentence of its error, or nothing."""
    try:
        function(value)
    except Exception as error:
        sentence = describe_error(error)
        _forget(error)
        return sentence
    return ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or beside it.

    Example:
        >>> is_out_of_memory(RuntimeError("MPS backend out of memory")), is_out_of_memory(ValueError("out of memory"))
        (True, False)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in NO_MEMORY)


def _forget(error: BaseException) -> None:
    """Free what the frames of an error hold, tensors above all, and those of the errors it came from."""
    errors = [error]
    for each in errors:  # grows on the way
        traceback.clear_frames(each.__traceback__)
        errors += [cause for cause in (each.__cause__, each.__context__) if cause and cause not in errors]
