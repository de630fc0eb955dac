"""Words drawn by chance, from dice of their own: whoever else draws at the same time changes no list and no text."""

import torch
from transformers import LogitsProcessor


def take_dice(seed: int, device: torch.device) -> torch.Generator:
    """Dice that fall the same way again for the same seed."""
    return torch.Generator(device).manual_seed(seed)


def draw_places(
    chances: torch.Tensor, *, times: int, temperature: float, top_p: float, dice: torch.Generator
) -> torch.Tensor:
    """Places drawn from each row, with replacement, (n_rows, times).

    Args:
        chances: Log-probabilities, (n_rows, n_places); -inf for what must not be drawn, at least one is not.
        times: Draws from each row.
        temperature: What log-probabilities are divided by.
        top_p: Drawn from the most probable that together have this share.
        dice: Where chance comes from.

    Example:
        >>> chances = torch.tensor([[0.9, 0.1], [0.0, 1.0]]).log()
        >>> dice = take_dice(0, torch.device("cpu"))
        >>> draw_places(chances, times=3, temperature=1.0, top_p=0.5, dice=dice).tolist()
        [[0, 0, 0], [1, 1, 1]]
    """
    lead = (chances - chances.amax(1, keepdim=True)) / temperature
    likely, order = lead.softmax(1).sort(dim=1, descending=True)
    if top_p < 1:
        likely[likely.cumsum(1) - likely >= top_p] = 0.0  # what lies before is enough already
    return order.gather(1, torch.multinomial(likely, times, replacement=True, generator=dice))


class Chance(LogitsProcessor):
    """Draws the next word of each row and leaves it alone: the last processor of a ``generate`` without sampling.

    With ``do_sample=True`` transformers draws from torch's one generator, which a training in another thread uses too.
    """

    def __init__(self, *, temperature: float, top_p: float, dice: torch.Generator) -> None:
        """Settings as in ``draw_places``."""
        self._settings = {"times": 1, "temperature": temperature, "top_p": top_p, "dice": dice}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Log-probabilities in which one word of each row is certain, (n_rows, n_words)."""
        drawn = draw_places(scores.float(), **self._settings)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0.0)
