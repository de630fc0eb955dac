"""What is to be trained and where it is saved; and what lies there already: a finished run, or a part of one."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.catalogs import Split
from workbench.language import Spelling
from workbench.models import GPT2Recommender
from workbench.models.saved_run import check_replaceable
from workbench.training import TrainingConfig, fine_tune
from workbench.training.checkpoints import Checkpoints
from workbench.training.keys import run_key
from workbench.training.runs import run_folder
from workbench.training.sizing import sized
from workbench.widgets.worker import is_out_of_memory


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """The arguments of ``fine_tune``, and the folder of the run they make.

    Attributes:
        split: The data.
        config: The settings.
        base: Where the weights begin.
        spelling: How items are written.
        given: The folder that was asked for; None for the one in which ``saved_run`` looks.
    """

    split: Split
    config: TrainingConfig
    base: str
    spelling: str | Spelling
    given: str | Path | None = None

    @cached_property
    def key(self) -> str:
        """What a saved run is found again by, see ``run_key``."""
        return run_key(self.split, base=self.base, spelling=self.spelling, config=self.config)

    @cached_property
    def folder(self) -> Path:
        """Where the finished run is saved; beside it, while it trains, ``folder.partial``."""
        settings = {"base": self.base, "spelling": self.spelling, "config": self.config}
        return Path(self.given or run_folder(self.split, **settings)).resolve()

    @property
    def source(self) -> str:
        """Data, start and seed, as captions say them."""
        start = {"small": "random"}.get(self.base, self.base)
        return f"{self.split.dataset.name}, start {start}, seed {self.config.seed}"

    @property
    def code(self) -> str:
        """The run as code that works where ``split`` is known, and ``spelling`` if it was made by hand."""
        given = ((field, getattr(self.config, field.name)) for field in fields(self.config))
        changed = ", ".join(f"{field.name}={value!r}" for field, value in given if value != field.default)
        spelling = repr(self.spelling) if isinstance(self.spelling, str) else "spelling"
        folder = f", folder={str(self.given)!r}" if self.given else ""
        return (
            "from workbench.training import TrainingConfig, fine_tune\n\n"
            f"config = TrainingConfig({changed})\n"
            f"recommender = fine_tune(split, base={self.base!r}, spelling={spelling}, config=config{folder})\n"
        )

    def halved(self) -> "TrainingPlan":
        """The same with half the users in a step; another run, with another key."""
        return replace(self, config=replace(self.config, batch_users=max(1, self.batch_users // 2)))

    @property
    def batch_users(self) -> int:
        """Windows of history in one step."""
        return sized(self.config, self.split).batch_users

    def train(self, **hooks: Any) -> GPT2Recommender:
        """Train, or go on where there is something to go on with; ``hooks`` as ``fine_tune`` takes them."""
        settings = {"base": self.base, "spelling": self.spelling, "config": self.config, "folder": self.folder}
        return fine_tune(self.split, **settings, **hooks)

    def saved(self) -> GPT2Recommender | None:
        """The finished run, or None.

        Raises:
            FileExistsError: If the folder holds something else than a run.
            ValueError: If the run is damaged or altered.
        """
        check_replaceable(self.folder)
        try:
            run = GPT2Recommender.load(self.folder)
        except FileNotFoundError:
            return None
        return run if run.record.get("key") == self.key else None

    def kept(self) -> dict | None:
        """What a run that was stopped or cut off left: its ``step``, ``rows`` and ``seconds``; None if nothing."""
        owner = self._private / "key"
        if not owner.is_file() or owner.read_text("utf-8") != self.key:  # Checkpoints would throw it away
            return None
        newest = Checkpoints(self._private, key=self.key).newest()
        return newest[1] if newest else None

    def clear(self) -> None:
        """Throw away what a run that was stopped or cut off left."""
        if self.kept():
            Checkpoints(self._private, key=self.key).delete()

    def advise(self, error: Exception) -> str:
        """What helps against an error that comes from the folder or from memory, and why; empty for all others."""
        if is_out_of_memory(error):
            return f"Give batch_users below {self.batch_users}, or a smaller width: memory ran out."
        if isinstance(error, FileExistsError):
            return f"Name another folder: {self.folder} is no saved run, and saving would delete what it holds."
        if isinstance(error, PermissionError | NotADirectoryError):
            return f"Name another folder: {self.folder} cannot be written ({error})."
        if isinstance(error, OSError):
            return f"Look whether the disk with {self.folder} is full, then press Start again ({error})."
        return ""

    @property
    def _private(self) -> Path:
        return Path(f"{self.folder}.partial")
