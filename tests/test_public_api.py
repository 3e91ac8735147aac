"""What others rely on, by name. Adding to a list is fine; whatever leaves one breaks somebody."""

from pathlib import Path

import recsys.client
from api.app import create_app
from recsys import cli, errors
from recsys.models.registry import BASELINES, MODELS


def test_commands() -> None:
    promised = """train tune evaluate inspect models recommend similar explain serve retrain
        campaign anomalies denoise embed compress generate understand store items keys"""
    assert set(promised.split()) == set(cli.COMMANDS)


def test_models() -> None:
    promised = """popularity buy-again pure-svd als bpr lmf item-knn autoencoder sparse-autoencoder
        mult-dae conv-autoencoder mult-vae recvae ease edlae dan-edlae elsa blend
        residual-autoencoder"""
    assert set(promised.split()) <= set(MODELS)
    assert set(BASELINES) < set(MODELS)


def test_routes(tmp_path: Path) -> None:
    app = create_app({"models": tmp_path, "store": f"sqlite:///{tmp_path / 'store.db'}"})
    routes = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint != "static"
    }
    promised = {
        *("GET /recommend", "POST /recommend", "GET /similar", "GET /explain", "GET /items"),
        *(
            "POST /events",
            "PUT /items/<path:item>",
            "DELETE /users/<path:user>",
            "POST /admin/reload",
        ),
        *("GET /healthz", "GET /readyz", "GET /metrics", "GET /openapi.json", "GET /docs", "GET /"),
        *("GET /model", "GET /categories", "GET /history", "GET /users"),
    }
    assert routes == promised


def test_client() -> None:
    promised = """Added ApiError Changes Client Event Explanation Forgotten Item Options Reason
        Recommendation StoredItem Suggestion"""
    assert sorted(promised.split()) == recsys.client.__all__


def test_errors_are_one_tree() -> None:
    promised = """UsageError SettingsError MissingDependencyError DataError NotFittedError
        TrainingError ArtifactError StoreError StoreDownError ForgottenError NotFoundError"""
    for name in promised.split():
        assert issubclass(getattr(errors, name), errors.RecsysError)
