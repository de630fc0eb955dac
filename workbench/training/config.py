"""What a training run is told: frozen, saved as JSON with the run, and part of the key that finds it again."""

from dataclasses import asdict, dataclass
from math import inf

LIMITS = {
    **dict.fromkeys(("epochs", "batch_users", "validate_every", "patience", "max_history"), (1, inf)),
    **dict.fromkeys(("layers", "width", "heads"), (1, inf)),
    **dict.fromkeys(("wishes", "wishes_after_history", "descriptions", "reviews", "negatives"), (0, inf)),
    **dict.fromkeys(("learning_rate", "weight_decay"), (0, inf)),
    "warmup": (0, 1),
    "dropout": (0, 0.99),
}
# May be None: then ``sizing.py`` chooses, or the length of the run does.
CHOSEN_BY_SIZE = ("epochs", "batch_users", "learning_rate", "validate_every", "negatives", "layers", "width", "dropout")


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of :func:`workbench.training.fine_tune`; the defaults were chosen on validation data, see LOG.md.

    Attributes:
        epochs: Passes over every history, at most; early stopping may end sooner. None: by the size of the data, see
            ``sizing.epochs``.
        learning_rate: Highest rate of AdamW, after the warm-up and before the cosine. None: by the length of the run,
            see ``sizing.learning_rate``. A published base wants much less: give it.
        weight_decay: Of AdamW, on all matrices.
        batch_users: Windows of history in one step. None: 32, or as many as hold about 800 events.
        wishes: Request sentences without a history, for one step on average; 0 turns them off.
        wishes_after_history: Request sentences behind a history, for one step on average; 0 turns them off.
        descriptions: Sentences "item -> its text", for one step on average; 0 turns them off.
        warmup: Share of the steps in which the learning rate rises.
        layers: Transformer blocks of ``base="small"``. None: 2, or 1 where items have few events.
        width: Hidden size of ``base="small"``. None: 160, or 128 where items have few events.
        heads: Attention heads of ``base="small"``.
        dropout: After the embedding and each block of ``base="small"``. None: 0.15, 0.2 of half a million events or
            more, 0.3 where items have few events.
        max_history: Items of a history that are read, the newest.
        validate_every: Epochs between two validations; None: about eight validations in the whole run.
        patience: Validations without a better NDCG@10 before training stops.
        max_seconds: Stop after this time and keep the best so far; None for no limit. A limit makes the result depend
            on the machine's speed.
        precision: ``"bf16"``, ``"fp32"``, or ``"auto"``: whichever a short timing finds faster here.
        seed: Of the weights, the order of sentences and dropout.
        context: Columns of the interactions that a prompt can say of the moment, such as ``("time_of_day",)``; each
            value becomes a word. Missing columns made from times: ``catalogs.add_context``.
        profile: Columns of the users' table that a prompt can say of somebody, likewise.
        reviews: Sentences "item -> what somebody wrote", for one step on average; 0: none are learned.
    """

    epochs: int | None = None
    learning_rate: float | None = None
    weight_decay: float = 0.1
    batch_users: int | None = None
    wishes: int = 64
    wishes_after_history: int = 8
    descriptions: int = 2
    warmup: float = 0.05
    layers: int | None = None
    width: int | None = None
    heads: int = 2
    dropout: float | None = None
    max_history: int = 200
    validate_every: int | None = None
    patience: int = 4
    max_seconds: float | None = None
    precision: str = "auto"
    seed: int = 0
    context: tuple[str, ...] = ()
    profile: tuple[str, ...] = ()
    reviews: int = 0
    negatives: int | None = None

    def __post_init__(self) -> None:
        """Refuse settings that could only fail later."""
        if self.precision not in ("auto", "bf16", "fp32"):
            raise ValueError(f"precision is {self.precision!r}; choose 'auto', 'bf16' or 'fp32'.")
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if value is None and name in CHOSEN_BY_SIZE:
                continue
            if not low <= value <= high:
                raise ValueError(
                    f"{name} is {value}; it must be at least {low}{f' and at most {high}' * (high < inf)}."
                )
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise ValueError(f"max_seconds is {self.max_seconds}; give a time above 0, or None for no limit.")
        for name in ("context", "profile"):
            if isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is the string {getattr(self, name)!r}; give a tuple of column names.")
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON knows no tuples
        if self.width and self.width % self.heads:
            raise ValueError(f"width {self.width} cannot be shared by {self.heads} heads; make it a multiple of heads.")

    def as_json(self) -> dict:
        """The settings as JSON keeps them."""
        return asdict(self) | {"context": list(self.context), "profile": list(self.profile)}
