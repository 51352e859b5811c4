"""A plan's files: which of the catalogue's alternatives it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.catalogue.catalogue import Asset, Role
from core.catalogue.planning.context import Context
from core.types import Plan


def pick(ids: Sequence[str], context: Context) -> Asset:
    """The first asset that is installed, else the default; pickles only where nothing else is named."""
    usable = [asset for asset in ids if context.catalogue.assets[asset].layout != "pickle"] or list(ids)
    chosen = next((asset for asset in usable if context.installed(asset)), None)
    default = next((a for a in usable if context.catalogue.assets[a].source != "converted"), usable[0])
    return context.catalogue.assets[chosen or default]


def with_asset(plan: Plan, role: Role, asset: Asset, context: Context) -> Plan:
    """The plan with another file for a role."""
    return with_assets(plan, plan.assets | {role: asset.id}, context)


def with_assets(plan: Plan, assets: dict[str, str], context: Context) -> Plan:
    """The plan with these files, by role."""
    files = tuple(name for one in assets.values() for name in file_names(context.catalogue.assets[one]))
    return replace(plan, assets=assets, files=files, parts={})


def file_names(asset: Asset) -> tuple[str, ...]:
    """``owner/name/path`` of each file, or its path on this machine."""
    if asset.source in ("local", "converted") or not asset.repository:
        return tuple(file.path for file in asset.files)
    return tuple(f"{asset.repository}/{file.path}" for file in asset.files)
