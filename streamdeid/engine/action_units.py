"""Where action units come from, as the settings say, and what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from streamdeid.engine.branch import Branch
from streamdeid.engine.models import Models
from streamdeid.errors import SettingsError
from streamdeid.metrics import ExpressionAgreement, ProxyAgreement
from streamdeid.observations import Sighting
from streamdeid.pair import Pair
from streamdeid.settings import Settings
from streamdeid.stages.action_units.blendshapes import BlendshapeSource
from streamdeid.stages.action_units.both import BothSources, OpenFace
from streamdeid.stages.action_units.openface import OpenFaceSource
from streamdeid.stages.action_units.program import OpenFaceScript, find_program
from streamdeid.stages.action_units.script import ScriptSource

Files: TypeAlias = Pair[Path | None]
"""The two videos, where they are files."""


def expression(
    settings: Settings, models: Models, files: Files, *, live: bool = False
) -> Branch[Pair[Sighting], Any]:
    """The branch that follows the expression.

    Raises:
        SettingsError: OpenFace is asked for, and not there or not usable.
    """
    openface = _openface(settings, files, live=live)
    if openface is None:
        proxies = BlendshapeSource(models.blendshapes())
        return Branch(proxies, [ExpressionAgreement(proxies.origin)])
    metric = ExpressionAgreement(openface.origin)
    if settings.au_source != "both":
        return Branch(openface, [metric])
    proxies = BlendshapeSource(models.blendshapes())
    beside = ExpressionAgreement(proxies.origin, "expression_proxy")
    follows = ProxyAgreement(openface.origin, proxies.origin)
    return Branch(BothSources(openface, proxies), [metric, beside, follows])


def _openface(settings: Settings, files: Files, *, live: bool) -> OpenFace | None:
    """None: there is none, or it is not wanted."""
    if settings.au_source == "blendshapes":
        return None
    program = find_program(settings.openface)
    if program is None:
        if settings.au_source == "auto" and not settings.au_static:
            return None
        asked = "--au-static" if settings.au_source == "auto" else "--au-source"
        raise SettingsError(
            f"{asked} needs OpenFace, which is not on the PATH: give the path of its "
            "FeatureExtraction with --openface, or leave that out to measure by blendshapes."
        )
    if not isinstance(program, OpenFaceScript):
        program.check()
        return OpenFaceSource(program, au_static=settings.au_static, live=live)
    if settings.au_static:
        raise SettingsError(
            f"--au-static cannot be passed on to the script {program.path}: put -au_static there."
        )
    if files.original is None or files.deidentified is None:
        name = "original" if files.original is None else "de-identified"
        raise SettingsError(
            f"--openface {program.path} is a script that reads video files, and the {name} video "
            "is none: give the path of FeatureExtraction itself."
        )
    return ScriptSource(program, Pair(files.original, files.deidentified))
