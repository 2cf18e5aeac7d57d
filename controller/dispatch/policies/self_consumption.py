"""Self-consumption: the sun's surplus into the battery, the battery into the house."""

from __future__ import annotations

from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Site


def self_consumption(config: DispatchConfig, site: Site, _before_w: float = 0.0) -> float:
    """The battery discharge that brings the PCC to `target_import_w`."""
    return site.net_load_w - config.policy.target_import_w
