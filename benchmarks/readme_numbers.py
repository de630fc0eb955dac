"""Write the measured figures into README.md, each from the result file and key that its comment names.

    python benchmarks/readme_numbers.py

A figure stands in front of a comment such as ``<!-- results/ml-100k.json: rankers.co-occurrence.ndcg@10 -->``. Keys
lead through the JSON file, joined by dots. What is not measured yet is shown as "-".
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
FIGURE = re.compile(r"(?P<shown>[^\s|(]+)(?P<gap> )<!-- (?P<file>results/[\w.-]+\.json): (?P<key>[^>]+?) -->")
MISSING = "-"
# How a figure is shown, by the end of its key; anything else that is no whole number gets four decimals.
FORMATS = {
    "seconds": ".0f",
    "precision": ".2f",
    "share": ".2f",
    "share_of_matmul": ".2f",
    "median": ".2f",
    "mixing": ".2f",
    "trust": ".2f",
    "fit": ".0f",
    "align": ".0f",
    "cases": ".0f",
    "_ms": ".0f",
    "words_per_item": ".1f",
    "parameters": ",.0f",
    "off_catalog_beam": ".2f",
    "rand.value": ".2f",
    "rand.floor": ".2f",
    "kept.hit_rate@10": ".3f",
}
FORMATS |= {
    f"{measure}{end}": ".2f" for measure in ("signed", "deletion", "insertion") for end in ("", "_low", "_high")
}


def look_up(file: str, key: str, *, folder: Path = HERE) -> Any:
    """The value of a key in a result file; None if the file or the key is not there."""
    path = folder / file
    if not path.is_file():
        return None
    value = json.loads(path.read_text("utf-8"))
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def as_shown(value: Any, *, key: str) -> str:
    """A figure as the README shows it.

    Raises:
        TypeError: If the value is no number: the key does not lead far enough.
    """
    if value is None:
        return MISSING
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{key} leads to a {type(value).__name__}, not to a number; name a key below it.")
    sign = "+" if any(mark in key for mark in ("differences.", "placebos.", " - ")) else ""
    if isinstance(value, int):
        return f"{value:{sign},}"
    ending = next((how for name, how in FORMATS.items() if key.endswith(name)), ".4f")
    return f"{value:{sign}{ending}}"


def with_figures(text: str, *, folder: Path = HERE) -> str:
    """The text with every figure as its result file has it now."""

    def shown(match: re.Match) -> str:
        value = as_shown(look_up(match["file"], match["key"], folder=folder), key=match["key"])
        return f"{value}{match['gap']}<!-- {match['file']}: {match['key']} -->"

    return FIGURE.sub(shown, text)


def main() -> int:
    """Rewrite the README; says what is still missing."""
    text = with_figures(README.read_text("utf-8"))
    draft = README.with_name("README.md.part")
    draft.write_text(text, "utf-8")
    os.replace(draft, README)
    missing = [match["key"] for match in FIGURE.finditer(text) if match["shown"] == MISSING]
    print(
        f"{len(FIGURE.findall(text))} figures, {len(missing)} not measured yet" + "".join(f"\n  {k}" for k in missing)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
