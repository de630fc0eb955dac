"""How a list is read off the model: what can be chosen, within which limits, and what contradicts itself."""

from dataclasses import dataclass

HOW = {
    "beam": "the most probable items, found by a beam",
    "sample": "different items drawn by chance",
    "greedy": "a slate, item after item, each seeing the ones before",
}
LEAST_WIDTH = 50  # beams unless said otherwise: of 20, the exact top ten of codes and titles misses 5 to 7 %; LOG.md


@dataclass(frozen=True)
class Decoding:
    """Settings of ``generate``.

    Attributes:
        k: Length of a list, at least 1.
        how: ``"beam"``, ``"sample"`` or ``"greedy"``, see ``HOW``.
        width: Beams, at least k; None: as many as k, and at least 50.
        temperature: Of "sample", above 0: below 1 the probable is drawn more often, above 1 less often.
        top_p: Of "sample": words are drawn from the most probable that together have this share, above 0, at most 1.
        diversity: Of "greedy": how much the cosine of an item's vector with the most similar item before it counts
            against its log-probability, 0 or more.
        seed: Of "sample": the same prompt and seed give the same list.
        exclude_seen: Leave out the items of the history.
        constrain: False lets the model write any word it knows, to show what goes wrong then.
    """

    k: int = 10
    how: str = "beam"
    width: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    diversity: float = 0.0
    seed: int = 0
    exclude_seen: bool = True
    constrain: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be done, and what would silently do nothing."""
        if self.how not in HOW:
            raise ValueError(f"how is {self.how!r}; choose one of {list(HOW)}.")
        if self.k < 1:
            raise ValueError(f"k is {self.k}; ask for at least 1 item.")
        if self.width is not None and self.width < 1:
            raise ValueError(f"width is {self.width}; a beam has at least 1 path.")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(
                f"temperature is {self.temperature:g}; it must be above 0. For the most probable, choose how='beam'."
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p:g}; it must be above 0 and at most 1.")
        if not self.diversity >= 0:
            raise ValueError(f"diversity is {self.diversity:g}; it must be 0 or more.")
        if self.how != "sample" and (self.temperature != 1 or self.top_p != 1):
            raise ValueError(f"temperature and top_p steer chance, and {self.how!r} has none: choose how='sample'.")
        if self.how != "greedy" and self.diversity:
            raise ValueError("diversity steers a slate that grows item by item: choose how='greedy', or diversity 0.")
        if self.diversity and not self.constrain:
            raise ValueError("diversity compares items, and constrain=False may write none: leave one of them out.")

    @property
    def beams(self) -> int:
        """Paths that a beam follows."""
        return self.width or max(self.k, LEAST_WIDTH)
