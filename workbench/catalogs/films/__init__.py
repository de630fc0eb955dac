"""The simulator behind the bundled films: real films, simulated viewers, and the truth about why they watch what.

One formula says how a viewer picks the next film, 0 for a film they have already seen::

    p(film | history, context, viewer)  ~  exp(popularity + drift + taste + series + director + contrast + context)

Each term is a table in `causes` or a column of the catalog, so whatever a model, a map or an attribution claims to have
found can be held against what was planted. ``python -m workbench.catalogs.films`` rebuilds the simulated files beside
``data/films/catalog.csv``, byte for byte.

- ``causes``: what is planted: taste groups, context effects, the strength of each cause
- ``truth``: `Films`, the true probability of any film after any history in any context
- ``oracle``: `OracleRanker`, the ranking that knows the truth
- ``bundle``: the files in ``data/films``, read and written
- ``reviews``, ``viewers``: `simulate`: viewers are drawn, live through two years, rate and review

Example:
    >>> films = films_truth()
    >>> alien = films.catalog.set_index("title")["item_id"]["Alien"]
    >>> aliens = films.catalog.set_index("title")["item_id"]["Aliens"]
    >>> films.probability(aliens, [alien]) > 5 * films.probability(aliens, [])
    True
"""

from workbench.catalogs.films.bundle import Simulation, films_truth, read_catalog, write_simulation
from workbench.catalogs.films.causes import CONTEXT_EFFECTS, TASTE_GROUPS, Effects, film_features, read_context
from workbench.catalogs.films.oracle import OracleRanker
from workbench.catalogs.films.truth import Films
from workbench.catalogs.films.viewers import simulate

__all__ = [
    "CONTEXT_EFFECTS",
    "TASTE_GROUPS",
    "Effects",
    "Films",
    "OracleRanker",
    "Simulation",
    "film_features",
    "films_truth",
    "read_catalog",
    "read_context",
    "simulate",
    "write_simulation",
]
