"""The plain autoencoder: what the others are measured against."""

from __future__ import annotations

from typing import ClassVar

from recsys.models.autoencoders.base import AutoencoderConfig, NeuralModel
from recsys.models.autoencoders.feedforward import FeedForward


class Autoencoder(NeuralModel[AutoencoderConfig]):
    """Rebuilds a history through a narrow code; no noise, no prior.

    Its loss is Mult-DAE's multinomial likelihood rather than a squared error, so that the two
    differ by the corruption of the input alone.
    """

    name: ClassVar[str] = "autoencoder"
    config_type: ClassVar[type[AutoencoderConfig]] = AutoencoderConfig

    def _build(self, n_items: int) -> FeedForward:
        config = self.config
        return FeedForward(n_items, config.hidden, sampled=config.sampled)
