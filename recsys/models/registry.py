"""Which models there are: a name, and where its class is. A new model is one file and a line here.

Classes are imported when asked for, so that a command that needs no torch never loads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from recsys.errors import UsageError
from recsys.models.base import Model
from recsys.settings import validated

MODELS: dict[str, str] = {
    "popularity": "recsys.models.popularity:Popularity",
    "buy-again": "recsys.models.popularity:BuyAgain",
    "pure-svd": "recsys.models.linear:PureSVD",
    "als": "recsys.models.factorization.als:ALS",
    "bpr": "recsys.models.factorization.gradient:BPR",
    "lmf": "recsys.models.factorization.gradient:LMF",
    "item-knn": "recsys.models.factorization.item_knn:ItemKNN",
    "autoencoder": "recsys.models.autoencoders.plain:Autoencoder",
    "sparse-autoencoder": "recsys.models.autoencoders.sparse:SparseAutoencoder",
    "mult-dae": "recsys.models.autoencoders.mult_dae:MultDAE",
    "conv-autoencoder": "recsys.models.autoencoders.conv:ConvAutoencoder",
    "mult-vae": "recsys.models.autoencoders.mult_vae:MultVAE",
    "recvae": "recsys.models.autoencoders.recvae:RecVAE",
    "ease": "recsys.models.linear:EASE",
    "edlae": "recsys.models.linear:EDLAE",
    "dan-edlae": "recsys.models.linear:DanEDLAE",
    "pooled-edlae": "recsys.models.pooled:PooledEDLAE",
    "residual-autoencoder": "recsys.models.autoencoders.residual:ResidualAutoencoder",
    "elsa": "recsys.models.autoencoders.elsa:ELSA",
    "blend": "recsys.models.blend:Blend",
}

DEFAULT_MODEL = "blend"
"""What is trained unless one says otherwise: the best on the bundled shop."""

BASELINES = ("popularity", "buy-again", "pure-svd", "als", "bpr", "lmf", "item-knn")


def model_class(name: str) -> type[Model[Any]]:
    """Return the class registered under `name`.

    Raises
    ------
    UsageError
        No such model; the message lists those there are.
    """
    if name not in MODELS:
        raise UsageError(f"unknown model {name!r}; there are {', '.join(MODELS)}")
    module, _, attribute = MODELS[name].partition(":")
    found: type[Model[Any]] = getattr(import_module(module), attribute)
    return found


def make_model(name: str, settings: Mapping[str, Any] | None = None) -> Model[Any]:
    """Return an unfitted model with its defaults overridden by `settings`.

    Raises
    ------
    UsageError
        No such model, or a setting it does not have or cannot take.
    """
    kind = model_class(name)
    return kind(validated(kind.config_type, settings or {}, name))
