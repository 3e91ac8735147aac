"""Everything that insight tells of a log, on one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from recsys.errors import RecsysError
from recsys.evaluation.fitting import Fit as ModelFit
from recsys.evaluation.fitting import fit_with_curves
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
from recsys.insight.trials import PCA, found_by_neighbours, try_anomalies, try_noise
from recsys.insight.uncertainty import measure_uncertainty
from recsys.insight.uncertainty_report import uncertainty_sections
from recsys.interactions.parts import Split
from recsys.interactions.tables import FloatArray, Histories
from recsys.interactions.weighting import Weighting
from recsys.models.base import Model, RunOptions
from recsys.models.registry import make_model
from recsys.models.variational import Variational
from recsys.report import Note, Page, Section

_BYTES = (8, 32, 128)  # each takes the longer the larger it is
_ASKED = 100  # nearest users, of whose items a list is made
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
        Leave out what trains networks and what puts something in to look for it: all but
        anomalies, noise and the probabilities of linear models.
    tell
        Called with the name of each part before it begins.
    """
    parts = _Parts(log, options, quick=quick)
    wanted: list[tuple[str, Callable[[], Sections]]] = [
        ("Strange accounts", parts.anomalies),
        ("Noise", parts.noise),
    ]
    if not quick:
        wanted += [
            ("Embeddings", parts.embeddings),
            ("Compression", parts.compression),
            ("Synthetic users", parts.generation),
        ]
    wanted.append(("How sure lists are", parts.uncertainty))
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

    def __init__(self, log: Log, options: RunOptions, *, quick: bool) -> None:
        self._log, self._options, self._quick = log, options, quick

    def anomalies(self) -> Sections:
        trials = () if self._quick else try_anomalies(self._log.interactions, self._options)
        return anomalies_sections(self._log, find_anomalies(self._judged), trials=trials)

    def noise(self) -> Sections:
        stern, events = self._judged, self._log.interactions
        other = fit_of(events, JUDGES[1:], self._options)
        both = Fit(
            stern.pairs,
            (stern.among_items + other.among_items) / 2,
            (stern.among_users + other.among_users) / 2,
        )
        trials = () if self._quick else try_noise(events, self._options)
        return noise_sections(self._log, find_noise(events, both, _NOISE), trials=trials)

    def embeddings(self) -> Sections:
        chosen = self._generator.model  # once more, on all users, with what is chosen fixed
        model = type(chosen)(chosen.config)
        model.fit(Weighting().training(self._log.interactions), options=self._options)
        found = embeddings_of(self._log, model, Weighting(), self._options.seed)
        return embedding_sections(self._log, found, self._worth())

    def _worth(self) -> dict[str, float]:
        """Return what vectors tell of held-out users' tastes, the generator's and PCA's."""
        known = Weighting().histories(self._split.training.full)
        users, ours = self._split.test.held_out(Weighting()), self._generator.model
        width = ours.embed(known.rows(slice(0, 1))).mean.shape[1]
        pca = make_model(PCA, {"factors": width}).fit(known, options=self._options)
        return {
            f"{name}, {width} numbers": found_by_neighbours(_means(model), known, users, _ASKED)
            for name, model in ((ours.name, ours), ("PCA", pca))
        }

    def compression(self) -> Sections:
        events, seed = self._log.interactions, self._options.seed
        return compression_sections(measure_compression(events, _BYTES, seed=seed))

    def generation(self) -> Sections:
        model = self._generator.model
        if not isinstance(model, Variational):
            raise TypeError(f"{GENERATOR} has no latents to draw from")
        trial = measure_generation(self._log.interactions, self._split, model, self._options)
        return generation_sections(trial)

    def uncertainty(self) -> Sections:
        fits: dict[str, ModelFit | None] = {STUDENT: None, PCA: None}
        if not self._quick:
            fits[GENERATOR] = self._generator
        return uncertainty_sections(
            [
                measure_uncertainty(name, self._split, Weighting(), self._options, fit=fit)
                for name, fit in fits.items()
            ]
        )

    @cached_property
    def _generator(self) -> ModelFit:
        return fit_with_curves(GENERATOR, {}, Weighting(), self._split.training, self._options)

    @cached_property
    def _judged(self) -> Fit:
        return fit_of(self._log.interactions, JUDGES[:1], self._options)

    @cached_property
    def _split(self) -> Split:
        return split_of(self._log.interactions, self._options.seed)


def _means(model: Model[Any]) -> Callable[[Histories], FloatArray]:
    """Return what turns histories into the means of a model's latents."""
    return lambda histories: model.embed(histories).mean
