import pytest

from recsys.interactions.tables import HeldOut, Histories
from shops import tastes, validation


@pytest.fixture
def shop() -> Histories:
    return tastes(90, 0)


@pytest.fixture
def held_out() -> HeldOut:
    return validation()
