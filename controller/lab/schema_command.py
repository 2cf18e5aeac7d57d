"""`penstock schema`: the JSON Schema of everything that others write for us or read from us."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer


class SchemaName(StrEnum):
    """What `penstock schema` can print."""

    site = "site"
    profile = "profile"
    messages = "messages"
    rig = "rig"
    scenario = "scenario"


def schema(
    what: Annotated[
        SchemaName, typer.Argument(help="Which schema.", metavar="[site|profile|messages|rig|scenario]")
    ] = (SchemaName.site),
) -> None:
    """Print a JSON Schema.

    Of site files, device profiles, MQTT messages, scenarios, or what a rig says in lock-step.
    """
    typer.echo(json.dumps(_schema(what), indent=2))


def _schema(what: SchemaName) -> dict[str, Any]:
    if what is SchemaName.site:
        from controller.sitefile import SiteFile

        return SiteFile.model_json_schema()
    if what is SchemaName.scenario:
        from controller.lab.scenariofile import ScenarioFile

        return ScenarioFile.model_json_schema()
    if what is SchemaName.profile:
        from drivers.profile import profile_schema

        return profile_schema()
    if what is SchemaName.rig:
        from controller.lab.rig_messages import rig_schema

        return rig_schema()
    from controller.commands import COMMANDS
    from controller.messages import MESSAGES

    return {
        **{topic: model.model_json_schema(mode="serialization") for topic, model in MESSAGES.items()},
        **{f"command/{name}": model.model_json_schema() for name, model in COMMANDS.items()},
    }
