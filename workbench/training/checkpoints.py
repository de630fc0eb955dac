"""What a killed run leaves behind: a private folder from which the next call goes on.

The Trainer writes its own files step by step, so a kill can leave half of them. A checkpoint counts only once our
``complete.json`` lies in it, written last and by renaming.
"""

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


class Checkpoints:
    """The private folder of one run; everything in it may be deleted at any time.

    Attributes:
        folder: Where the files are.
    """

    def __init__(self, folder: Path, *, key: str) -> None:
        """Open the folder; files of a run with another key (other data or settings) are thrown away."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        owner = folder / "key"
        if not owner.is_file() or owner.read_text("utf-8") != key:
            shutil.rmtree(folder)
            folder.mkdir(parents=True)
            _write(owner, key)

    def newest(self) -> tuple[Path, dict] | None:
        """The newest complete checkpoint and what we wrote beside it; None when there is none."""
        for marker in sorted(self.folder.glob("checkpoint-*/complete.json"), key=_step, reverse=True):
            state = json.loads(marker.read_text("utf-8"))
            if self._best(state["best_step"]).is_file() or state["best_step"] is None:
                return marker.parent, state
        return None

    def complete(self, step: int, state: dict) -> None:
        """Declare the checkpoint of this step whole, then drop the others and the best weights they referred to."""
        own = self.folder / f"checkpoint-{step}"
        _write(own / "complete.json", json.dumps(state))
        for other in self.folder.glob("checkpoint-*"):
            if other != own:
                shutil.rmtree(other)
        for path in self.folder.glob("best-*.safetensors"):
            if path != self._best(state["best_step"]):
                path.unlink()

    def keep_best(self, step: int, weights: dict[str, torch.Tensor]) -> None:
        """Write the best weights so far."""
        scratch = self.folder / "best.tmp"
        save_file({name: value.detach().cpu().contiguous() for name, value in weights.items()}, scratch)
        os.replace(scratch, self._best(step))

    def best(self, step: int) -> dict[str, torch.Tensor]:
        """The best weights, as kept at that step."""
        return load_file(self._best(step))

    def delete(self) -> None:
        """Remove everything: the run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _best(self, step: int | None) -> Path:
        return self.folder / f"best-{step}.safetensors"


def _step(marker: Path) -> int:
    return int(marker.parent.name.removeprefix("checkpoint-"))


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(path.name + ".tmp")
    scratch.write_text(text, "utf-8")
    os.replace(scratch, path)
