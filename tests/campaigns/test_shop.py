"""A campaign to every customer of the bundled shop, checked from its files alone, by other means.

Nothing of `recsys.campaigns` is used here: the rules are worked out again with pandas, from the
shop's own files, the documented hashes and the model's scores.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.artifacts import load_current, publish
from recsys.interactions.dataset import load_dataset
from recsys.interactions.times import from_iso
from recsys.models.linear import EASE

DATA = Path(__file__).parents[2] / "data" / "online-retail"
AT = "2011-12-10"
QUOTA, NAMED = 32, {"22423": 7, "85123A": 0}
BLOCKED = ("21212", "22720")
ADDED = ["rank", "item", "title", "score"]


def recsys(*arguments: object) -> str:
    command = [sys.executable, "-m", "recsys", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


def share(purpose: str, campaign: str, user: str) -> float:
    """Return where a user stands between 0 and 1, as docs/campaigns.md says."""
    text = f"{purpose}\0{campaign}\0{user}".encode()
    number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
    return (number >> 11) / 2**53


@dataclass
class Shop:
    """A folder with what goes into the campaign, and what came out."""

    folder: Path
    people: pd.DataFrame
    stopped: set[str]
    events: pd.DataFrame
    prices: pd.Series
    allowed: set[str]

    @property
    def out(self) -> Path:
        return self.folder / "spring"

    def read(self, place: str, out: str = "spring") -> pd.DataFrame:
        parts = sorted((self.folder / out / place).iterdir())
        return pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)

    def lists(self, out: str = "spring") -> pd.DataFrame:
        """Return one row an item that is sent: user_id, rank, item, title, score."""
        rows = self.read("send", out)[["user_id", "items"]].explode("items", ignore_index=True)
        return pd.concat([rows[["user_id"]], pd.DataFrame(rows["items"].tolist())], axis=1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Publish a model, mail some of the customers in autumn, then make the campaign to test."""
    folder = tmp_path_factory.mktemp("shop")
    events = pd.read_parquet(DATA / "events.parquet")
    users = sorted(events["user_id"].unique())
    people = pd.DataFrame(
        {
            "user_id": users,
            "email": [f"{user}@example.org" for user in users],
            "first_name": [f"Zoë {user}" for user in users],
            "newsletter": ["no" if user.endswith("77") else "yes" for user in users],
        }
    )
    stopped = set(people["user_id"].iloc[3::19])
    prices = pd.read_csv(DATA / "items.csv", dtype={"item_id": str}).set_index("item_id")["price"]
    twice = people.iloc[:25].assign(email="other@example.org")
    pd.concat([people, twice]).to_csv(folder / "customers.csv", index=False)
    pd.DataFrame({"user_id": [*sorted(stopped), "nobody"]}).to_csv(folder / "no.csv", index=False)
    best = events["item_id"].value_counts().index[:700]
    pd.DataFrame({"item_id": best}).to_csv(folder / "allowed.csv", index=False)
    quota = pd.DataFrame({"item_id": [*NAMED], "quota": [*NAMED.values()]})
    quota.to_csv(folder / "quota.csv", index=False)
    models, store = folder / "models", f"sqlite:///{folder / 'store.db'}"
    dataset = load_dataset(str(DATA))
    rows = dataset.weighting.training(dataset.interactions)
    publish(models, EASE(EASE.config_type(l2=200.0)).fit(rows), dataset)
    with_store = ("--models", models, "--store", store)
    recsys("keys", "add", "--scope", "read", "--name", "test", *with_store)  # makes the store
    for name, at, some in (("old", "2011-11-01", users[::3]), ("new", "2011-12-06", users[::17])):
        pd.DataFrame({"user_id": some}).to_csv(folder / f"{name}.csv", index=False)
        given = ("--users", folder / f"{name}.csv", "--name", name, "--at", at, "--k", 3)
        recsys("campaign", *given, *with_store, "--out", folder / name, "--commit")
    (folder / "spring.toml").write_text(SPEC, encoding="utf-8")
    given = ("--spec", folder / "spring.toml", "--store", store, "--out", folder / "spring")
    recsys("campaign", *given)
    return Shop(folder, people, stopped, events, prices, set(best))


SPEC = f"""
users = "customers.csv"
name = "spring"
models = "models"
at = {AT}
k = 6
min_items = 4
users_per_part = 1500
consent = "newsletter"
cool_down_days = 7
hold_out = 0.1
[[suppression]]
source = "no.csv"
[rules]
not_bought_days = "ever"
not_sent_days = 60
exclude = {json.dumps(BLOCKED)}
min_price = 0.5
only_file = "allowed.csv"
[[arms]]
name = "as served"
share = 0.6
[[arms]]
name = "cheap"
share = 0.4
rules = {{ max_price = 4.0, not_bought_days = 365 }}
[quota]
default = {QUOTA}
file = "quota.csv"
"""


def test_every_customer_has_one_row_and_counts_add_up(shop: Shop) -> None:
    results, counts = shop.read("results"), json.loads((shop.out / "manifest.json").read_text())
    counts = counts["counts"]
    assert sorted(results["user_id"]) == shop.people["user_id"].tolist()
    assert len(results) == 5852
    statuses = results["status"].value_counts().to_dict()
    rejected = pd.read_csv(shop.out / "rejected.csv", dtype=str)
    assert counts == {"input": 5877, "rejected": 25, "audience": 5852, "failed": 0, **statuses}
    assert rejected["user_id"].tolist() == shop.people["user_id"].iloc[:25].tolist()
    assert set(statuses) == {"sent", "suppressed", "ineligible", "held_out"}
    assert statuses["sent"] > 2500
    send = shop.read("send")
    assert send["user_id"].is_unique
    assert set(send["user_id"]) == set(results.loc[results["status"] == "sent", "user_id"])
    own = shop.people.set_index("user_id").loc[send["user_id"]].reset_index()
    pd.testing.assert_frame_equal(send.drop(columns="items"), own, check_dtype=False)


def test_who_must_not_be_mailed_is_not(shop: Shop) -> None:
    results = shop.read("results").set_index("user_id")
    without = set(shop.people.loc[shop.people["newsletter"] == "no", "user_id"])
    lately = set(shop.read("send", "new")["user_id"])
    expected = dict.fromkeys(lately, "cool-down: sent a campaign within 7 days")
    expected |= dict.fromkeys(without, "no consent")
    expected |= dict.fromkeys(shop.stopped, "on suppression list no.csv")
    suppressed = results[results["status"] == "suppressed"]
    assert suppressed["reason"].to_dict() == expected
    assert min(map(len, (without, lately, shop.stopped))) > 30


def test_groups_are_those_of_the_documented_hash(shop: Shop) -> None:
    results = shop.read("results")
    held = results["user_id"].map(lambda user: share("hold-out", "spring", user) < 0.1)
    cheap = results["user_id"].map(lambda user: share("arm", "spring", user) >= 0.6)
    assert (results["arm"] == cheap.map({True: "cheap", False: "as served"})).all()
    eligible = results["status"].isin(["sent", "held_out"])
    assert ((results["status"] == "held_out") == (eligible & held)).all()
    assert 400 < held.sum() < 700
    for _, own in results[results["status"] != "suppressed"].groupby("arm"):
        rates = (own["status"] == "ineligible").groupby(held).mean()
        assert rates[True] == pytest.approx(rates[False], abs=0.08)


def test_no_list_breaks_a_rule(shop: Shop) -> None:
    lists, arms = shop.lists(), shop.read("results").set_index("user_id")["arm"]
    arm = lists["user_id"].map(arms)
    counts = lists.groupby("user_id").size()
    assert counts.between(4, 6).all()
    assert (lists["rank"] == lists.groupby("user_id").cumcount() + 1).all()
    assert not lists.duplicated(["user_id", "item"]).any()
    assert (lists.groupby("user_id")["score"].diff().dropna() <= 0).all()
    titles = pd.read_csv(DATA / "items.csv", dtype=str).set_index("item_id")["title"]
    assert (lists["item"].map(titles) == lists["title"]).all()

    last = shop.events.groupby(["user_id", "item_id"])["timestamp"].max()
    bought = pd.MultiIndex.from_frame(lists[["user_id", "item"]])
    when = last.reindex(bought).reset_index(drop=True)
    assert when[arm == "as served"].isna().all()
    assert not (when[arm == "cheap"] >= pd.Timestamp(AT) - pd.Timedelta(days=365)).any()
    assert when.notna().any()  # what was bought before may come back in that arm
    earlier = pd.concat([shop.lists("old"), shop.lists("new")])[["user_id", "item"]]
    assert lists.merge(earlier, on=["user_id", "item"]).empty
    assert len(set(lists["user_id"]) & set(earlier["user_id"])) > 500

    prices = lists["item"].map(shop.prices)
    assert (prices >= 0.5).all()
    assert (prices[arm == "cheap"] <= 4).all()
    assert (prices[arm == "as served"] > 4).any()
    assert set(lists["item"]) <= shop.allowed - set(BLOCKED)


def test_quotas_hold_and_nobody_would_rather_swap(shop: Shop) -> None:
    lists, results = shop.lists(), shop.read("results").set_index("user_id")
    artifact = load_current(shop.folder / "models")
    items = pd.Index(artifact.items.ids)
    sends = lists["item"].value_counts().reindex(items, fill_value=0).to_numpy()
    quota = np.array([NAMED.get(item, QUOTA) for item in items])
    assert (sends <= quota).all()
    assert (sends == quota).sum() > 100

    # each user's scores, −inf where the rules leave an item out
    histories = artifact.weighting.histories(artifact.interactions, from_iso(AT, "at"))
    scores = pd.DataFrame(artifact.model.score(histories), artifact.users.ids, items)
    price = shop.prices.reindex(items)
    out = (price < 0.5).to_numpy() | items.isin(BLOCKED) | ~items.isin(shop.allowed)
    scores.loc[:, out] = -np.inf
    cheap = results.index[results["arm"] == "cheap"]
    scores.loc[cheap, (price > 4).to_numpy()] = -np.inf
    last = shop.events.groupby(["user_id", "item_id"])["timestamp"].max().reset_index()
    lately = last["timestamp"] >= pd.Timestamp(AT) - pd.Timedelta(days=365)
    gone = last[lately | ~last["user_id"].isin(cheap)]
    sent_before = pd.concat([shop.lists("old"), shop.lists("new")])
    pairs = [*zip(gone["user_id"], gone["item_id"], strict=True)]
    pairs += zip(sent_before["user_id"], sent_before["item"], strict=True)
    rows, columns = zip(*pairs, strict=True)
    values = scores.to_numpy(copy=True)
    values[scores.index.get_indexer(rows), items.get_indexer(columns)] = -np.inf
    finite = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    spread = np.nanstd(finite, 1)[:, None]
    z = (finite - np.nanmean(finite, 1)[:, None]) / np.where(spread > 0, spread, 1)

    # the worst that each item holds, and that each user who is sent holds
    held = np.zeros(values.shape, np.bool_)
    held[scores.index.get_indexer(lists["user_id"]), items.get_indexer(lists["item"])] = True
    assert np.isfinite(values[held]).all()
    assert np.allclose(
        np.sort(values[held]), np.sort(lists["score"].to_numpy()), rtol=1e-4, atol=1e-6
    )
    least = np.where(sends < quota, -np.inf, np.nanmin(np.where(held, z, np.inf), axis=0))
    least[quota == 0] = np.inf
    full = held.sum(1) == 6
    worst = np.where(full, np.min(np.where(held, values, np.inf), axis=1), -np.inf)
    mailed = scores.index.get_indexer(results.index[results["status"] == "sent"])
    tolerance = 1e-5 * np.abs(values[held]).max()
    rather = values[mailed] > worst[mailed, None] + tolerance
    welcome = z[mailed] > least + 1e-4
    assert not (rather & welcome & ~held[mailed] & np.isfinite(values[mailed])).any()
    assert (rather & ~held[mailed] & np.isfinite(values[mailed])).any(1).mean() > 0.5


def test_the_ledger_has_what_was_sent_once(shop: Shop) -> None:
    store = f"sqlite:///{shop.folder / 'store.db'}"
    for _ in range(2):
        said = recsys("campaign", "commit", shop.out, "--models", shop.folder / "models",
                      "--store", store)  # fmt: skip
    assert "nothing was changed" in said
    with sqlite3.connect(shop.folder / "store.db") as connection:
        ledger = pd.read_sql("SELECT * FROM sends WHERE campaign LIKE 'spring %'", connection)
    lists = shop.lists()
    assert not ledger.duplicated(["user_id", "item_id"]).any()
    one = set(zip(ledger["user_id"], ledger["item_id"], strict=True))
    assert one == set(zip(lists["user_id"], lists["item"], strict=True))
    assert len(ledger) == len(lists)


def test_results_count_by_the_groups_that_were_assigned(shop: Shop) -> None:
    results = shop.read("results")
    rng = np.random.default_rng(3)
    buyers = results["user_id"][rng.random(len(results)) < 0.2]
    bought = pd.DataFrame({"user_id": buyers, "timestamp": "2011-12-12", "paid": 5.0})
    bought.to_csv(shop.folder / "bought.csv", index=False)
    told = json.loads(
        recsys("campaign", "results", shop.out, "--purchases", shop.folder / "bought.csv",
               "--value-column", "paid", "--json")
    )  # fmt: skip
    for arm in told["arms"]:
        for group in ("sent", "held_out"):
            own = results[(results["arm"] == arm["arm"]) & (results["status"] == group)]
            assert arm[group]["users"] == len(own)
            assert arm[group]["buyers"] == own["user_id"].isin(buyers).sum()
            assert arm[group]["revenue"]["value"] == pytest.approx(
                5 * arm[group]["buyers"] / len(own)
            )
