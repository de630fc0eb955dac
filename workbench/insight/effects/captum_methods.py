"""Integrated gradients, Shapley values and LIME, computed by Captum.

All three compare words that are there with words that are hidden behind a neutral embedding, see
``workbench.insight.effects.question.Hiding``. They share out the difference between the whole prompt and one in which
everything is hidden, or fit a line to it; none of them says what happens to the item's place.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from scipy.stats import t as student

from workbench.insight.effects.occlusion import WordEffects
from workbench.insight.effects.question import BATCH, Hiding, Question

STEPS = (32, 64, 128, 256, 512, 1024)  # of the path of integrated gradients: the first that is complete
COMPLETE = 0.01  # the effects' sum may miss the whole difference by this share of it ...
LEAST = 0.1  # ... or of this many units of log-odds, when the difference is smaller
EVALUATIONS = 1000  # of the model, about, for Shapley values and LIME ...
FEWEST_DRAWS, MOST_DRAWS = 10, 50  # ... as far as these numbers of orders allow
FITS = 10  # LIME's line is fitted this many times to fresh samples
KERNEL_WIDTH = 0.25  # how fast LIME forgets samples unlike the prompt; its authors' choice for text


def integrate_gradients(question: Question, seed: int = 0) -> WordEffects:
    """Integrated gradients on the embeddings, from everything hidden to the prompt as it is; ``seed`` changes nothing.

    Sundararajan, Taly and Yan (2017), section 3. The effects sum to the difference in log-odds between the two ends
    (completeness); the number of steps is doubled until they do within 1 %, and the note says what was reached, also
    when 1,024 steps are not enough.
    """
    from captum.attr import IntegratedGradients

    with question.recommender.at_rest(gradients=True):
        hiding = Hiding(question)
        method = IntegratedGradients(lambda vectors: question.log_odds(hiding.read(vectors)))
        with torch.no_grad():
            ends = question.log_odds(hiding.read(torch.cat([hiding.vectors, hiding.neutral])))
        whole = float(ends[0] - ends[1])
        for steps in STEPS:
            path = {"baselines": hiding.neutral, "n_steps": steps, "internal_batch_size": BATCH}
            shares = method.attribute(hiding.vectors, **path)[0].sum(-1)  # (n_words,)
            gap = abs(float(shares.sum()) - whole)
            if complete := gap <= COMPLETE * max(abs(whole), LEAST):
                break
    shares = shares.detach().cpu().numpy().astype(float)
    effect = np.array([shares[places.start : places.stop].sum() for places in question.words.places])
    note = f"{steps:,} steps; the effects sum to {effect.sum():+.3f}, the whole difference is {whole:+.3f}"
    return WordEffects(effect, note if complete else f"{note}, which more steps would bring nearer")


def sample_shapley(question: Question, seed: int = 0) -> WordEffects:
    """Shapley values: what each word adds, on average over all orders in which the words could be uncovered.

    Sampled as in Castro, Gomez and Tejada (2009), section 3: random orders, each an unbiased draw; the interval is
    Student's, over the draws.
    """
    from captum.attr import ShapleyValueSampling

    n_rows = len(question.words.df)
    draws = int(np.clip(EVALUATIONS // n_rows, FEWEST_DRAWS, MOST_DRAWS))
    with question.recommender.at_rest(), _seeded(seed):
        hiding = Hiding(question)
        method = ShapleyValueSampling(lambda present: question.log_odds(hiding.states(present)))
        shown = torch.ones(1, n_rows, device=question.recommender.device)
        batch = min(BATCH, n_rows)
        values = [method.attribute(shown, n_samples=1, perturbations_per_eval=batch)[0] for _ in range(draws)]
    return _averaged(torch.stack(values), note=f"{draws} random orders")


def fit_lime(question: Question, seed: int = 0) -> WordEffects:
    """LIME: coefficients of a linear model of the log-odds, fitted to prompts in which random words are hidden.

    Ribeiro, Singh and Guestrin (2016), section 3. Every word is hidden with probability 1/2 and prompts like the whole
    one count more; plain least squares, fitted several times to fresh samples, Student's interval over the fits.
    """
    from captum._utils.models.linear_model import SkLearnLinearRegression
    from captum.attr import Lime
    from captum.attr._core.lime import get_exp_kernel_similarity_function

    n_rows = len(question.words.df)
    samples = max(EVALUATIONS // FITS, 2 * n_rows + 20)
    with question.recommender.at_rest(), _seeded(seed):
        hiding = Hiding(question)
        method = Lime(
            lambda present: question.log_odds(hiding.states(present)),
            interpretable_model=SkLearnLinearRegression(),
            similarity_func=get_exp_kernel_similarity_function("cosine", KERNEL_WIDTH),
        )
        shown = torch.ones(1, n_rows, device=question.recommender.device)
        values = [method.attribute(shown, n_samples=samples, perturbations_per_eval=BATCH)[0] for _ in range(FITS)]
    return _averaged(torch.stack(values), note=f"{FITS} fits to {samples} samples each")


def _averaged(values: torch.Tensor, *, note: str) -> WordEffects:
    """Mean over independent draws, (n_draws, n_rows), and Student's 95 % interval."""
    draws = values.cpu().numpy().astype(float)
    mean, error = draws.mean(0), draws.std(0, ddof=1) / len(draws) ** 0.5
    reach = student.ppf(0.975, len(draws) - 1) * error
    return WordEffects(mean, note, low=mean - reach, high=mean + reach)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Captum draws from torch's stream on the CPU: begin it at the seed, and put it back after; no other is touched."""
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(before)
