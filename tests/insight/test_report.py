from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from recsys.ids import IdMap
from recsys.insight.anomalies import find_anomalies
from recsys.insight.anomalies_report import anomalies_sections
from recsys.insight.denoising import find_noise
from recsys.insight.denoising_report import noise_sections
from recsys.insight.fit import Fit, fit_of
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.tables import Interactions
from recsys.report import Page, Section, render


@pytest.fixture
def named(log: Interactions) -> SimpleNamespace:
    return SimpleNamespace(
        interactions=log,
        users=IdMap(f"<b>{user}" for user in range(log.n_users)),
        items=IdMap(f"i{item}" for item in range(log.n_items)),
        catalogue=Catalogue.untitled([f"Item & {item}" for item in range(log.n_items)]),
    )


def html(sections: tuple[Section, ...]) -> str:
    return render(Page("Title", "Lead.", (), sections))


def test_strange_accounts_are_shown(named: SimpleNamespace, fit: Fit) -> None:
    sections = anomalies_sections(named, find_anomalies(fit), 5)
    assert [section.title for section in sections] == ["Strange accounts", "Odd events"]
    page = html(sections)
    assert "of 300 accounts have a p below .001" in page
    assert "chance alone gives fewer than 1" in page
    assert "&lt;b&gt;" in page
    assert "<b>1" not in page
    assert page.count("<svg") >= 2


def test_noise_is_shown(named: SimpleNamespace, log: Interactions, fit: Fit) -> None:
    noise = find_noise(log, fit, 0.1)
    (section,) = noise_sections(named, noise, 7)
    assert f"{noise.noise.sum():,} of {len(noise.noise):,} pairs" in section.says
    page = html((section,))
    assert "taken out" in page
    assert page.count("<tr") == 8


def test_sections_of_a_tiny_log(named: SimpleNamespace) -> None:
    log = Interactions.from_events(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]), shape=(3, 2))
    named.interactions, fit = log, fit_of(log)
    noise = find_noise(log, fit, 0.1)
    page = html((*anomalies_sections(named, find_anomalies(fit)), *noise_sections(named, noise)))
    assert "3 accounts" in page
