"""The worker of a live view: the newest request wins, Stop keeps what there is, nothing kills it, nothing piles up."""

import gc
import sys
import threading
import time
import weakref
from dataclasses import replace

import pytest
import torch

from workbench.widgets.worker import HALVED, TOO_LARGE, Worker

STEP = 0.005
OUT_OF_MEMORY = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    MemoryError(),
    RuntimeError("MPS backend Out of Memory (MPS allocated: 8 GB)"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes. Error code 12"),
)


class Held:
    """Something large that a frame holds."""


def walk(steps, stop, halved):
    """Take some steps, as many as there is time for."""
    done = []
    for step in range(steps):
        if stop.wait(STEP):
            break
        done.append(step)
    return done


def worker_threads():
    return {thread for thread in threading.enumerate() if thread.name == "workbench worker"}


@pytest.fixture(autouse=True, scope="module")
def quick_collections():
    """Each out-of-memory test collects; what the imports made need not be looked at again."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def start():
    """Starts workers that note what they show and tell, and closes them."""
    started = []

    def make(work=walk, *, show=None, tell=None, live=True):
        shown, told = [], []

        def show_all(answer):
            shown.append(answer)
            if show:
                show(answer)

        worker = Worker(work, show=show_all, tell=tell or told.append, live=live)
        started.append(worker)
        worker.shown, worker.told = shown, told
        return worker

    yield make
    for worker in started:
        worker.close()
        assert worker.wait(2)


def wait_for(question):
    end = time.monotonic() + 2
    while not question():
        assert time.monotonic() < end, "never"
        time.sleep(0.001)


class TestNewestWins:
    def test_a_request_is_answered_under_its_number(self, start):
        worker = start()
        assert (worker.number, worker.state) == (0, "idle")
        assert worker.ask(3) == 1 == worker.number
        assert worker.wait(2)
        (answer,) = worker.shown
        assert (answer.number, answer.result, answer.error, answer.stopped, answer.note) == (
            1,
            [0, 1, 2],
            "",
            False,
            "",
        )
        assert 3 * STEP <= answer.seconds < 1
        assert worker.told == ["running", "idle"]

    def test_what_runs_is_told_to_end_what_waits_is_replaced_and_neither_is_shown(self, start):
        worked = []

        def note(request, stop, halved):
            worked.append(request)
            return walk(request, stop, halved)

        worker = start(note)
        worker.ask(10_000)
        wait_for(lambda: worked)
        for steps in (20_000, 30_000, 2):
            worker.ask(steps)
        assert worker.wait(1)
        assert [(answer.number, answer.result, answer.stopped) for answer in worker.shown] == [(4, [0, 1], False)]
        assert worked == [10_000, 2] and worker.told == ["running", "idle"]

    def test_a_burst_of_thirty_ends_on_the_last_and_shows_nothing_stale(self, start):
        newest = []
        worker = start(show=lambda answer: newest.append(worker.number))
        for _ in range(30):
            worker.ask(2)
            time.sleep(STEP / 2)
        assert worker.wait(2)
        numbers = [answer.number for answer in worker.shown]
        assert numbers[-1] == 30 and numbers == sorted(set(numbers)) == newest

    def test_what_is_asked_while_an_answer_is_shown_is_answered_next(self, start):
        worker = start(show=lambda answer: worker.ask(1) if answer.number < 3 else None)
        worker.ask(1)
        assert worker.wait(2)
        assert [answer.number for answer in worker.shown] == [1, 2, 3]

    def test_many_threads_may_ask_and_stop_yet_one_works_and_the_last_word_told_is_true(self, start):
        inside, telling, told = [], [], []

        def alone(request, stop, halved):
            inside.append(request)
            stop.wait(0.001)
            assert len(inside) == 1
            return inside.pop()

        def tell(state):
            telling.append(state)
            time.sleep(0.0005)  # long enough for others to come meanwhile
            told.append(state if len(telling) == 1 else "two at once")
            telling.pop()

        def press():
            for press in range(40):
                worker.stop() if press % 5 == 4 else worker.ask(press)

        worker = start(alone, tell=tell)
        hands = [threading.Thread(target=press) for _ in range(4)]
        [hand.start() for hand in hands]
        [hand.join() for hand in hands]
        assert worker.wait(2) and worker.state == told[-1] == "idle"
        last = worker.ask("last")
        assert worker.wait(2) and worker.number == last == 4 * 32 + 1
        assert (worker.shown[-1].number, worker.shown[-1].result) == (last, "last")
        assert not any(answer.error for answer in worker.shown)
        assert "two at once" not in told and all(one != other for one, other in zip(told, told[1:], strict=False))

    def test_the_view_may_hold_a_lock_when_it_asks_that_its_answers_take(self, start):
        lock = threading.RLock()

        def take(value):
            with lock:
                time.sleep(0.001)

        worker = start(show=take, tell=take)
        for _ in range(20):
            with lock:
                worker.ask(0)
                time.sleep(0.001)
                worker.stop()
        with lock:
            worker.ask(1)
        assert worker.wait(2) and worker.shown[-1].number == 21


class TestStop:
    def test_stop_ends_the_work_at_its_next_step_and_shows_what_there_is_as_partial(self, start):
        worker = start()
        worker.ask(10_000)
        time.sleep(3 * STEP)
        begun = time.monotonic()
        worker.stop()
        assert worker.state == "stopping"
        assert worker.wait(2) and time.monotonic() - begun < 0.5
        (answer,) = worker.shown
        assert answer.stopped and not answer.error and 0 < len(answer.result) < 1000
        assert worker.told == ["running", "stopping", "idle"]

    def test_a_waiting_request_is_dropped_and_one_it_had_made_stale_stays_unshown(self, start):
        worker = start()
        worker.ask(10_000)
        wait_for(lambda: worker._running)
        worker.ask(20_000)
        worker.stop()
        assert worker.wait(2) and worker.shown == [] and worker.state == "idle"

    def test_stop_has_nothing_to_do_when_nothing_runs_and_the_next_request_is_whole(self, start):
        worker = start()
        worker.stop()
        assert worker.state == "idle" and worker.told == []
        worker.ask(2)
        assert worker.wait(2)
        worker.stop()
        worker.ask(1)
        assert worker.wait(2) and [answer.stopped for answer in worker.shown] == [False, False]

    def test_work_that_never_looks_is_still_labelled_and_the_next_request_is_answered(self, start):
        worker = start(lambda request, stop, halved: time.sleep(0.02) or request)
        worker.ask("deaf")
        wait_for(lambda: worker._running)
        worker.stop()
        assert worker.wait(2)
        worker.ask("again")
        assert worker.wait(2)
        assert [(answer.result, answer.stopped) for answer in worker.shown] == [("deaf", True), ("again", False)]

    def test_waiting_has_an_end(self, start):
        worker = start()
        worker.ask(10_000)
        assert not worker.wait(2 * STEP)
        worker.stop()
        assert worker.wait(2)


class TestErrors:
    @pytest.mark.parametrize("live", [True, False])
    def test_an_error_is_a_sentence_and_the_next_request_is_answered(self, start, live):
        def divide(request, stop, halved):
            return sys.exit(3) if request is None else 6 / request

        worker = start(divide, live=live)
        for request in (0, None, 3):
            worker.ask(request)
            assert worker.wait(2)
            assert worker.state == ("idle" if request else "failed")
        assert [(answer.result, answer.error) for answer in worker.shown] == [
            (None, "ZeroDivisionError: division by zero"),
            (None, "SystemExit: 3"),
            (2.0, ""),
        ]
        assert worker.told == ["running", "failed", "running", "failed", "running", "idle"]

    def test_nothing_that_an_error_passed_by_is_kept_alive(self, start):
        held = []

        def fail(request, stop, halved):
            outer = Held()
            held.append(weakref.ref(outer))
            try:
                fail_first()
            except KeyError as error:
                mine = ValueError(f"then {error}")  # the usual cycle: a frame that holds its own error
                raise mine from None

        def fail_first():
            inner = Held()
            held.append(weakref.ref(inner))
            mine = KeyError("first")
            raise mine

        worker = start(fail)
        gc.disable()
        try:
            worker.ask(1)
            assert worker.wait(2)
            assert worker.shown[0].error.startswith("ValueError: then") and [one() for one in held] == [None, None]
        finally:
            gc.enable()

    @pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
    def test_out_of_memory_frees_what_was_held_halves_once_and_says_so(self, start, error):
        held, alive = [], []

        def work(request, stop, halved):
            if halved:
                alive.extend(one() for one in held)
                return request // 2
            tensor = Held()
            tensor.itself = tensor  # only a collection frees it
            held.append(weakref.ref(tensor))
            raise error.with_traceback(None)

        worker = start(work)
        worker.ask(8)
        assert worker.wait(2)
        assert [(answer.result, answer.error, answer.note) for answer in worker.shown] == [(4, "", HALVED)]
        assert alive == [None] and worker.state == "idle"

    def test_out_of_memory_twice_says_what_to_do_and_another_error_with_half_the_batch_is_told_as_it_is(self, start):
        def work(request, stop, halved):
            raise ValueError("odd") if halved and request == "odd" else MemoryError

        worker = start(work)
        for request in ("all", "odd"):
            worker.ask(request)
            assert worker.wait(2)
        assert [(answer.error, answer.note) for answer in worker.shown] == [
            (TOO_LARGE, ""),
            ("ValueError: odd", HALVED),
        ]
        assert "Ask for less" in TOO_LARGE

    def test_the_error_of_a_stale_request_is_nobodys(self, start):
        worker = start(lambda request, stop, halved: stop.wait(2) and 1 / 0)
        worker.ask("stale")
        wait_for(lambda: worker._running)
        worker.ask("dropped")
        worker.stop()
        assert worker.wait(2) and worker.shown == [] and worker.state == "idle"

    def test_other_runtime_errors_are_not_tried_again(self, start):
        tries = []

        def work(request, stop, halved):
            tries.append(halved)
            raise RuntimeError("shapes cannot be multiplied")

        worker = start(work)
        worker.ask(1)
        assert worker.wait(2) and tries == [False]

    @pytest.mark.parametrize("live", [True, False])
    def test_an_answer_that_cannot_be_shown_is_shown_as_failed_and_the_next_one_as_it_is(self, start, live):
        def show(answer):
            if answer.number == 1:
                raise KeyError("no such widget")

        worker = start(show=show, live=live)
        worker.ask(1)
        assert worker.wait(2) and worker.state == "failed"
        worker.ask(1)
        assert worker.wait(2) and worker.state == "idle"
        said = "the answer could not be shown: KeyError: no such widget"
        assert [(answer.result, answer.error) for answer in worker.shown] == [([0], ""), (None, said), ([0], "")]

    def test_a_state_that_cannot_be_told_ends_nothing(self, start):
        worker = start(tell=lambda state: 1 / 0)
        worker.ask(1)
        assert worker.wait(2) and worker.shown[0].result == [0]


class TestWithoutAThread:
    def test_the_same_requests_have_the_same_answers_and_states(self, start):
        def tale(live):
            def work(request, stop, halved):
                if request == "large" and not halved:
                    raise MemoryError
                if request == "broken":
                    raise ValueError("broken")
                if request == "overtaken":  # newer ones come while this one runs
                    worker.ask("waiting")
                    worker.ask("newest")
                if request == "stopped":
                    worker.stop()
                return request, stop.is_set(), halved

            def follow(answer):
                if answer.result and answer.result[0] == "first":
                    worker.ask("follows")

            worker = start(work, show=follow, live=live)
            for request in ("first", "overtaken", "large", "broken", "stopped", "last"):
                worker.ask(request)
                assert worker.wait(2)
            return [replace(answer, seconds=0.0) for answer in worker.shown], worker.told

        answers, told = tale(live=False)
        assert (answers, told) == tale(live=True)
        results = ["first", "follows", "newest", "large", None, "stopped", "last"]
        assert [answer.result and answer.result[0] for answer in answers] == results

    def test_it_is_answered_before_ask_returns_and_no_thread_is_there(self, start):
        before = worker_threads()
        worker = start(live=False)
        assert worker.ask(2) == 1 and worker.shown[0].result == [0, 1] and worker_threads() <= before

    def test_an_interrupt_goes_to_who_asked_and_leaves_the_worker_ready(self, start):
        def work(request, stop, halved):
            if request == "long":
                worker.ask("waits")
                raise KeyboardInterrupt
            return request

        worker = start(work, live=False)
        with pytest.raises(KeyboardInterrupt):
            worker.ask("long")
        assert worker.state == "failed" and worker.wait(0)
        worker.ask("next")
        assert [answer.result for answer in worker.shown] == ["next"]


class TestEnding:
    def test_two_thousand_requests_are_one_thread_and_leave_nothing_behind(self, start):
        class Request:
            pass

        before, requests, waiting = worker_threads(), weakref.WeakSet(), []
        worker = start(lambda request, stop, halved: stop.wait(0.0001))
        assert worker_threads() <= before  # it starts at the first request
        for _ in range(2000):
            request = Request()
            requests.add(request)
            worker.ask(request)
            waiting.append(worker._bell.qsize())
        del request
        assert worker.wait(2) and worker.shown[-1].number == 2000
        assert len(worker_threads() - before) == 1 and max(waiting) <= 1
        wait_for(lambda: worker._bell.empty() and not requests)

    def test_close_ends_the_thread_shows_nothing_more_and_refuses_requests(self, start):
        before, worker = worker_threads(), start()
        worker.ask(10_000)
        wait_for(lambda: worker._running)
        worker.close()
        worker.close()
        assert worker.wait(2) and worker.shown == []
        wait_for(lambda: worker_threads() <= before)
        with pytest.raises(RuntimeError, match="run its cell again"):
            worker.ask(1)

    def test_the_thread_does_not_keep_its_owner_alive_and_ends_with_it(self):
        class Owner:
            def __init__(self):
                self.worker = Worker(self.work, show=self.show)

            def work(self, request, stop, halved):
                return request

            def show(self, answer):
                self.answer = answer

        before, owner = worker_threads(), Owner()
        owner.worker.ask(1)
        assert owner.worker.wait(2) and owner.answer.result == 1
        gone = weakref.ref(owner)
        del owner
        wait_for(lambda: gc.collect() is not None and gone() is None)
        wait_for(lambda: worker_threads() <= before)
