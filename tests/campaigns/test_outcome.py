from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from campaign_files import audience, results_of
from recsys.campaigns import outcome
from recsys.campaigns.job import run_campaign
from recsys.campaigns.outcome import proportion, proportions_apart
from recsys.campaigns.purchases import PurchaseColumns
from recsys.campaigns.spec import Arm, CampaignSpec
from recsys.cli.campaign_results import results
from recsys.errors import DataError, UsageError
from recsys.interactions.times import from_iso

Asked = Callable[..., CampaignSpec]

AT = from_iso("2024-05-01", "at")
COLUMNS = PurchaseColumns("customer", "when", "paid")
HEADER = ("customer", "when", "paid")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, asked: Asked) -> Path:
    """Return a campaign of 402 users in two arms, a third of them held out, some ineligible."""
    folder = tmp_path_factory.mktemp("outcome")
    users = audience(folder, *(f"new {n}" for n in range(400)), "003", "greedy")
    arms = (Arm("a", 0.5), Arm("b", 0.5))
    spec = asked(users, k=3, at=AT, hold_out=0.33, arms=arms, users_per_part=150, format="csv")
    run_campaign(spec, folder / "out")
    return folder / "out"


def purchases(folder: Path, rows: list[tuple[object, ...]], name: str = "bought.csv") -> Path:
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([HEADER, *rows])
    return path


def test_groups_are_those_that_were_assigned(out: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    people = results_of(out)
    assert {row["status"] for row in people.values()} == {"sent", "held_out"}
    spent = {user: float(rng.integers(1, 9)) for user in people if rng.random() < 0.3}
    bought = [(user, "2024-05-02", value) for user, value in spent.items()]
    bought += [(user, "2024-05-30T23:59:59", 1) for user in list(spent)[:5]]
    late = [(user, "2024-05-31", 99) for user in people]
    early = [(user, "2024-04-30 23:59:59", 99) for user in people]
    others = [("stranger", "2024-05-03", 7), ("", "2024-05-03", 7)]
    path = purchases(tmp_path, [*early, *bought, *late, *others])
    found = outcome.results_of(out, path, COLUMNS, days=30)
    assert (found.since, found.until) == ("2024-05-01T00:00:00Z", "2024-05-31T00:00:00Z")
    assert (found.purchases, found.buyers, found.others) == (len(bought) + 2, len(spent) + 1, 1)
    assert found.notes == ()
    for user in list(spent)[:5]:
        spent[user] += 1
    for one in (*found.arms, found.whole):
        groups = {"sent": one.sent, "held_out": one.held_out}
        sums = {}
        for status, group in groups.items():
            users = [
                user
                for user, row in people.items()
                if row["status"] == status and one.arm in (None, row["arm"])
            ]
            sums[status] = np.array([spent.get(user, 0.0) for user in users])
            assert (group.users, group.buyers) == (len(users), np.count_nonzero(sums[status]))
            assert group.revenue is not None
            assert group.revenue.value == pytest.approx(sums[status].mean())
            interval = stats.ttest_1samp(sums[status], 0).confidence_interval()
            assert (group.revenue.low, group.revenue.high) == pytest.approx(tuple(interval))
        welch = stats.ttest_ind(sums["sent"], sums["held_out"], equal_var=False)
        assert one.revenue is not None
        assert (one.revenue.low, one.revenue.high) == pytest.approx(
            tuple(welch.confidence_interval())
        )
        assert one.conversion == proportions_apart(
            one.sent.buyers, one.sent.users, one.held_out.buyers, one.held_out.users
        )
    assert [one.arm for one in found.arms] == ["a", "b"]
    assert sum(one.sent.users for one in found.arms) == found.whole.sent.users > 200


def test_what_was_given_back_is_no_purchase(out: Path, tmp_path: Path) -> None:
    one, two = sorted(results_of(out))[:2]
    rows = [(one, "2024-05-02", -5), (two, "2024-05-02", 9), (two, "2024-05-03", -4)]
    path = purchases(tmp_path, rows)
    found = outcome.results_of(out, path, COLUMNS, days=1000)
    assert found.buyers == 1
    whole = found.whole
    revenues = [
        group.revenue.value * group.users for group in (whole.sent, whole.held_out) if group.revenue
    ]
    assert sum(revenues) == pytest.approx(0)
    assert "may not be over" in found.notes[0]
    plain = PurchaseColumns("customer", "when")
    found = outcome.results_of(out, path, plain, days=30, since=from_iso("2024-05-03", "since"))
    assert (found.buyers, found.whole.revenue, found.whole.sent.revenue) == (1, None, None)


def test_intervals_are_newcombes() -> None:
    # the table of Newcombe (1998), method 10
    for (a, m, b, n), (low, high) in {
        (56, 70, 48, 80): (0.0524, 0.3339),
        (9, 10, 3, 10): (0.1705, 0.8090),
        (5, 56, 0, 29): (-0.0381, 0.1926),
        (10, 10, 0, 10): (0.6075, 1.0),
    }.items():
        found = proportions_apart(a, m, b, n)
        assert found is not None
        assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)
    assert proportions_apart(0, 0, 1, 2) is None
    assert proportion(0, 0) is None


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Revenue is nothing for most and skewed for the others, as in shops."""
    rng = np.random.default_rng(8)
    held = {"conversion": 0, "revenue": 0}
    for _ in range(400):
        groups = []
        for n, rate in ((1200, 0.12), (600, 0.08)):
            spent = np.where(rng.random(n) < rate, rng.lognormal(3, 0.8, n), 0.0)
            sums = outcome.Sums()
            sums.add(n, int(np.count_nonzero(spent)), spent.tolist())
            groups.append(sums)
        one, two = groups
        revenue = outcome.means_apart(one, two)
        conversion = proportions_apart(one.buyers, one.users, two.buyers, two.users)
        truth = {"conversion": 0.04, "revenue": 0.04 * np.exp(3 + 0.8**2 / 2)}
        for name, found in (("conversion", conversion), ("revenue", revenue)):
            assert found is not None
            assert found.low is not None
            assert found.high is not None
            held[name] += found.low <= truth[name] <= found.high
    for count in held.values():
        assert 0.92 <= count / 400 <= 0.985


def test_too_few_users_have_no_interval() -> None:
    one, two = outcome.Sums(), outcome.Sums()
    assert outcome.means_apart(one, two) is None
    one.add(1, 1, [5.0])
    two.add(2, 0, [])
    assert outcome.means_apart(one, two) == outcome.Estimate(5.0)


def test_the_command_prints_and_answers_in_json(out: Path, tmp_path: Path) -> None:
    path = purchases(tmp_path, [("003", "2024-05-02", 5), ("new 7", "2024-05-02", 2)])
    given = [str(out), "--purchases", str(path), "--user-column", "customer"]
    given += ["--time-column", "when", "--value-column", "paid", "--days", "7"]
    shown = CliRunner().invoke(results, given, catch_exceptions=False).output
    for words in (
        "held out",
        "difference",
        "2 purchases in the window by 2 buyers",
        "the window may",
    ):
        assert words in shown
    told = json.loads(
        CliRunner().invoke(results, [*given, "--json"], catch_exceptions=False).output
    )
    assert told["until"] == "2024-05-08T00:00:00Z"
    assert told["confidence"] == 0.95
    assert [arm["arm"] for arm in told["arms"]] == ["a", "b"]
    assert told["whole"]["sent"]["buyers"] + told["whole"]["held_out"]["buyers"] == 2
    assert set(told["whole"]["conversion"]) == {"value", "low", "high"}


def test_what_cannot_be_read_is_named(out: Path, tmp_path: Path) -> None:
    for rows, message in (
        ([("003", "soon", 1)], r"bought.csv: row 2, column 'when' is 'soon': not a date"),
        ([("003", "2024-05-02", 1), ("003", "2024-05-02", "x")], r"row 3, column 'paid' is 'x'"),
        ([("003", "", 1)], r"row 2, column 'when'.*: missing"),
    ):
        with pytest.raises(DataError, match=message):
            outcome.results_of(out, purchases(tmp_path, rows), COLUMNS, days=30)
    path = purchases(tmp_path, [("003", "2024-05-02", 1)])
    for columns, message in (
        (PurchaseColumns(), "no column 'user_id'"),
        (PurchaseColumns("customer"), "no column 'timestamp'.*--time-column"),
        (PurchaseColumns("customer", "when", "price"), "no column 'price'.*--value-column"),
    ):
        with pytest.raises(DataError, match=message):
            outcome.results_of(out, path, columns, days=30)
    with pytest.raises(DataError, match="does not exist"):
        outcome.results_of(out, tmp_path / "none.csv", COLUMNS, days=30)
    with pytest.raises(UsageError, match="no finished campaign"):
        outcome.results_of(tmp_path, path, COLUMNS, days=30)


def test_results_that_were_changed_are_refused(asked: Asked, tmp_path: Path) -> None:
    run_campaign(asked(audience(tmp_path, "003"), at=AT, format="csv"), tmp_path / "out")
    path = purchases(tmp_path, [("003", "2024-05-02", 1)])
    found = outcome.results_of(tmp_path / "out", path, COLUMNS, days=30)
    assert "nobody was held out" in found.notes[-1]
    assert found.arms == ()
    with (tmp_path / "out" / "results" / "part-00000.csv").open("a") as stream:
        stream.write('"x","sent",,,,\n')
    with pytest.raises(UsageError, match=r"part-00000.csv is not as the campaign wrote it"):
        outcome.results_of(tmp_path / "out", path, COLUMNS, days=30)
