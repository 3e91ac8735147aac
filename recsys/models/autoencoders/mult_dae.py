"""Mult-DAE: the denoising autoencoder with a multinomial likelihood (Liang et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from recsys.models.autoencoders.base import AutoencoderConfig, NeuralModel
from recsys.models.autoencoders.feedforward import FeedForward
from recsys.settings import Search


@dataclass(frozen=True)
class MultDAEConfig(AutoencoderConfig):
    """Settings of Mult-DAE.

    By default one layer of 600: in a shop of a few thousand users the paper's (600, 200), set as
    `hidden`, ranks worse.

    Attributes
    ----------
    dropout
        Share of a history's entries hidden from the input in training.
    """

    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.2, 0.8)] = 0.5


class MultDAE(NeuralModel[MultDAEConfig]):
    """Rebuilds a whole history from a part of it.

    A history, scaled to length 1, loses each entry with probability `dropout`; the network g turns
    what is left into logits z, and −Σ_i x_i log softmax(z)_i over the whole history is minimised.
    Scores are the logits of the undropped history.
    """

    name: ClassVar[str] = "mult-dae"
    config_type: ClassVar[type[MultDAEConfig]] = MultDAEConfig

    def _build(self, n_items: int) -> FeedForward:
        config = self.config
        return FeedForward(n_items, config.hidden, config.dropout, sampled=config.sampled)
