from __future__ import annotations

import pytest

from insight_logs import four_tastes
from recsys.insight.fit import Fit, fit_of
from recsys.interactions.tables import Interactions


@pytest.fixture(scope="session")
def log() -> Interactions:
    return four_tastes(300, 0)


@pytest.fixture(scope="session")
def fit(log: Interactions) -> Fit:
    return fit_of(log)
