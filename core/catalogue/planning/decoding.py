"""What decodes the result: the video autoencoder, or the tiny decoder, a small file of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from core.catalogue.catalogue import Asset, Role
from core.catalogue.planning.assets import with_asset
from core.catalogue.planning.context import Context
from core.errors import BadSetting
from core.types import Plan

TINY: Final = "tiny"
FULL: Final = "full"
ROLE: Final[Role] = "preview_decoder"


def with_decoder(plan: Plan, context: Context, asked: str | None, preset: str) -> Plan:
    """The plan with its decoder; the tiny one's file counts among the plan's.

    Args:
        asked: by the request; its file must then be there. None leaves it to the preset.
        preset: of a preset ``tiny`` is taken where the file is, or where others have to be fetched as well.

    Raises:
        BadSetting: asked for a tiny decoder, and the catalogue has none.
    """
    if (asked or preset) != TINY:
        return replace(plan, decoder=FULL)
    file = tiny_decoder(context)
    if file is None and asked:
        raise BadSetting(
            "The catalogue has no tiny decoder.", value=TINY, limit=FULL, action="Choose the decoder full."
        )
    if file is None or not (asked or context.installed(file.id) or context.missing(plan)):
        return replace(plan, decoder=FULL)
    return with_asset(replace(plan, decoder=TINY), ROLE, file, context)


def tiny_decoder(context: Context) -> Asset | None:
    """The installed one, else the catalogue's first."""
    known = [asset for asset in context.catalogue.assets.values() if asset.role == ROLE]
    return next((asset for asset in known if context.installed(asset.id)), known[0] if known else None)
