"""How far a training run is: HTML that stays readable after a reload or a dead kernel, a plain line in a terminal."""

import html
import sys
import time
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Progress:
    """One moment of a run.

    Attributes:
        step: Steps done.
        steps: Steps planned.
        epoch: Epochs done, a fraction.
        epochs: Epochs planned.
        seconds: Time spent so far, earlier parts of a resumed run included.
        tokens_per_second: Item and text words read per second.
        device: For example ``"cpu bf16"``.
        log: Training log so far.
        note: How it ended, empty while it runs.
    """

    step: int
    steps: int
    epoch: float
    epochs: int
    seconds: float
    tokens_per_second: float
    device: str
    log: pd.DataFrame
    note: str = ""

    def sentence(self) -> str:
        """Where the run stands, in words."""
        left = self.seconds / max(self.step, 1) * (self.steps - self.step)
        when = self.note or f"at most {left:.0f} s left"
        text = f"epoch {self.epoch:.1f} of {self.epochs}, {self.seconds:.0f} s, {when}"
        text += f" · {self.tokens_per_second / 1000:.0f}k words/s · {self.device}"
        if len(self.log):
            last, best = self.log.iloc[-1], self.log["validation_ndcg@10"].max()
            text += f" · loss {last['train_loss']:.3f} nats/item"
            text += f" · validation NDCG@10 {last['validation_ndcg@10']:.4f}, best {best:.4f}"
        return text

    def to_html(self) -> str:
        """A bar and the sentence."""
        done = 100 * self.step / max(self.steps, 1)
        bar = (
            '<div role="progressbar" aria-label="training" aria-valuemin="0" aria-valuemax="100" '
            f'aria-valuenow="{done:.0f}" style="height:8px;max-width:640px;background:var(--jp-layout-color3,#ddd)">'
            f'<div style="height:8px;width:{done:.1f}%;background:#0072B2"></div></div>'
        )
        return f'<div style="font-family:var(--jp-ui-font-family,sans-serif)">{bar}{html.escape(self.sentence())}</div>'


@dataclass(frozen=True)
class Notice:
    """Work that cannot say how far it is.

    Attributes:
        text: What goes on.
        note: What came of it, empty while it goes on.
    """

    text: str
    note: str = ""

    def sentence(self) -> str:
        """What goes on, or what came of it."""
        return self.note or self.text

    def to_html(self) -> str:
        """The sentence."""
        return f'<div style="font-family:var(--jp-ui-font-family,sans-serif)">{html.escape(self.sentence())}</div>'


class ProgressDisplay:
    """Shows the newest :class:`Progress` or :class:`Notice` in one place, at most twice a second."""

    def __init__(self) -> None:
        """Find out whether there is a notebook to write to."""
        self._handle, self._shown = None, 0.0
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        self._notebook = shell is not None and hasattr(shell, "kernel")

    def __call__(self, progress: Progress | Notice) -> None:
        """Show it, unless something was shown less than half a second ago and this is not the end."""
        now = time.monotonic()
        if now - self._shown < 0.5 and not progress.note:
            return
        self._shown = now
        if self._notebook:
            self._show_html(progress)
        elif sys.stderr.isatty():
            end = "\n" if progress.note else ""
            print(f"\r\033[K{progress.sentence()}", end=end, file=sys.stderr, flush=True)

    def _show_html(self, progress: Progress | Notice) -> None:
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(progress.to_html()), display_id=True)
        else:
            self._handle.update(HTML(progress.to_html()))
