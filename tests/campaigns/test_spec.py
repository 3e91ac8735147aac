from __future__ import annotations

from pathlib import Path

import pytest

from recsys.campaigns.loading import load_spec
from recsys.campaigns.spec import CampaignSpec
from recsys.errors import SettingsError, UsageError


def test_flags_go_before_the_file_and_that_before_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "campaign.toml"
    file.write_text('users = "a.csv"\nmodels = "m"\nk = 5\nlayout = "flat"\nat = 2011-12-09\n')
    spec = load_spec(file, {"k": 7, "layout": None, "models": Path("mine")})
    assert spec == CampaignSpec(
        tmp_path / "a.csv", k=7, layout="flat", at=1_323_388_800_000_000, models=Path("mine")
    )
    assert load_spec(None, {"users": Path("b.csv")}) == CampaignSpec(Path("b.csv"))


@pytest.mark.parametrize(
    ("moment", "microseconds"),
    [
        ('"1970-01-02"', 86_400_000_000),
        ("1970-01-01T01:00:00Z", 3_600_000_000),
        ("1970-01-01T01:00:00", 3_600_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
    ],
)
def test_times_are_dates_or_texts(tmp_path: Path, moment: str, microseconds: int) -> None:
    file = tmp_path / "campaign.toml"
    file.write_text(f'users = "a.csv"\nat = {moment}\n')
    assert load_spec(file, {}).at == microseconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quotas = 3", r"campaign\.toml: unknown setting 'quotas'; there are arms, at, cap"),
        ("k = 0", r"campaign\.toml: k = 0: .*greater than or equal to 1"),
        ("k = 1001", r"campaign\.toml: k = 1001: "),
        ('k = "ten"', r"campaign\.toml: k = 'ten': "),
        ('engine = "dask"', r"campaign\.toml: engine = 'dask': .*'local'"),
        ('format = "xml"', r"campaign\.toml: format = 'xml': "),
        ("users_per_part = 0", r"campaign\.toml: users_per_part = 0: "),
        ("at = 2011", r"campaign\.toml: at: '2011' is no date or time; write"),
        ("k = ", r"campaign\.toml: Invalid value"),
        ("k = 3\nmin_items = 4", "min_items = 4 is more than k = 3"),
    ],
)
def test_what_cannot_be_meant_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "campaign.toml"
    file.write_text(f'users = "a.csv"\n{text}\n')
    with pytest.raises(UsageError, match=message):
        load_spec(file, {})


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give --users FILE, or `users` in the spec"):
        load_spec(None, {"k": 3})
    with pytest.raises(SettingsError, match=r"none\.toml: .*No such file"):
        load_spec(tmp_path / "none.toml", {})
    with pytest.raises(UsageError, match="--at: 'soon' is no date"):
        load_spec(None, {"users": Path("a.csv"), "at": "soon"})
