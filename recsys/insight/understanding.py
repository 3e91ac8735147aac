"""Everything that insight tells of a log, on one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from recsys.errors import RecsysError
from recsys.evaluation.fitting import fit_chosen, fit_with_curves
from recsys.insight.accounts import Log
from recsys.insight.anomalies import find_anomalies
from recsys.insight.anomalies_report import anomalies_sections
from recsys.insight.compression import measure_compression
from recsys.insight.compression_report import compression_sections
from recsys.insight.denoising import JUDGES, find_noise
from recsys.insight.denoising_report import noise_sections
from recsys.insight.embedding import embeddings_of
from recsys.insight.embedding_report import embedding_sections
from recsys.insight.fit import Fit, fit_of
from recsys.insight.generation_measures import GENERATOR, STUDENT, measure_generation, split_of
from recsys.insight.generation_report import generation_sections
from recsys.insight.uncertainty import Calibrated, measure_uncertainty
from recsys.insight.uncertainty_report import uncertainty_sections
from recsys.interactions.splits import Split, training_split
from recsys.interactions.weighting import Weighting
from recsys.models.base import RunOptions
from recsys.models.variational import Variational
from recsys.report import Note, Page, Section

_PCA = "pure-svd"
_BYTES = (8, 32, 128)  # each takes the longer the larger it is
_NOISE = 0.2  # what `recsys denoise` takes out unless told otherwise

Sections = tuple[Section, ...]
Tell = Callable[[str], None]


def understand(log: Log, name: str, options: RunOptions, *, quick: bool, tell: Tell) -> Page:
    """Return the report; what the data does not allow stands there with the reason.

    Parameters
    ----------
    log
        The events with their ids and titles.
    name
        What to call the data set.
    options
        Seed and device.
    quick
        Leave out what trains networks: all but anomalies, noise and the probabilities of linear
        models.
    tell
        Called with the name of each part before it begins.
    """
    parts = _Parts(log, options)
    wanted: list[tuple[str, Callable[[], Sections]]] = [
        ("Strange accounts", parts.anomalies),
        ("Noise", parts.noise),
    ]
    if quick:
        wanted.append(("How sure lists are", parts.uncertainty))
    else:
        wanted += [
            ("Embeddings", parts.embeddings),
            ("Compression", parts.compression),
            ("Synthetic users", parts.generation),
            ("How sure lists are", parts.uncertainty_of_all),
        ]
    sections = tuple(
        section for title, part in wanted for section in _section_or_reason(title, part, tell)
    )
    events = log.interactions
    facts = (
        ("data", name),
        ("users", f"{int(np.count_nonzero(np.diff(events.indptr))):,}"),
        ("items", f"{events.n_items:,}"),
        ("events", f"{events.n_events:,}"),
    )
    lead = "What models of normal histories know besides what to recommend, and how well."
    return Page(f"What {name} tells", lead, facts, sections, f"Made with seed {options.seed}.")


def _section_or_reason(title: str, part: Callable[[], Sections], tell: Tell) -> Iterator[Section]:
    tell(title)
    try:
        yield from part()
    except RecsysError as error:
        yield Section(title, f"The data does not allow this part: {error}.", (Note(str(error)),))


class _Parts:
    """The parts of the report; what several of them need is made once."""

    def __init__(self, log: Log, options: RunOptions) -> None:
        self._log, self._options = log, options
        self._stern: Fit | None = None
        self._calibrated: list[Calibrated] = []

    def anomalies(self) -> Sections:
        return anomalies_sections(self._log, find_anomalies(self._judged()))

    def noise(self) -> Sections:
        stern, events = self._judged(), self._log.interactions
        other = fit_of(events, JUDGES[1:], self._options)
        both = Fit(
            stern.pairs,
            (stern.among_items + other.among_items) / 2,
            (stern.among_users + other.among_users) / 2,
        )
        return noise_sections(self._log, find_noise(events, both, _NOISE))

    def embeddings(self) -> Sections:
        events, seed = self._log.interactions, self._options.seed
        training = training_split(events, seed)
        model = fit_chosen(GENERATOR, {}, Weighting(), training, self._options)
        return embedding_sections(self._log, embeddings_of(self._log, model, Weighting(), seed))

    def compression(self) -> Sections:
        events, seed = self._log.interactions, self._options.seed
        return compression_sections(measure_compression(events, _BYTES, seed=seed))

    def generation(self) -> Sections:
        events, options = self._log.interactions, self._options
        split = self._split()
        fit = fit_with_curves(GENERATOR, {}, Weighting(), split.training, options)
        model = fit.model
        self._calibrated = [measure_uncertainty(GENERATOR, split, Weighting(), options, fit=fit)]
        if not isinstance(model, Variational):
            raise TypeError(f"{GENERATOR} has no latents to draw from")
        return generation_sections(measure_generation(events, split, model, options))

    def uncertainty(self) -> Sections:
        return uncertainty_sections(self._of_linear())

    def uncertainty_of_all(self) -> Sections:
        return uncertainty_sections([*self._of_linear(), *self._calibrated])

    def _of_linear(self) -> list[Calibrated]:
        split = self._split()
        return [
            measure_uncertainty(name, split, Weighting(), self._options) for name in (STUDENT, _PCA)
        ]

    def _judged(self) -> Fit:
        if self._stern is None:
            self._stern = fit_of(self._log.interactions, JUDGES[:1], self._options)
        return self._stern

    def _split(self) -> Split:
        return split_of(self._log.interactions, self._options.seed)
