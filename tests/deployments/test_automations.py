"""The automation templates are what Prefect takes, and name what we send."""

import re
from pathlib import Path
from uuid import UUID

import pytest
import yaml
from prefect.events.schemas.automations import AutomationCore
from prefect.server.events.schemas.automations import AutomationCore as ServerAutomation

from storage.lake import announce

FOLDER = Path(__file__).parents[2] / "deployments" / "automations"
TEMPLATES = sorted(FOLDER.glob("*.yaml"))
SENT = {announce.PUBLISHED, announce.BLOCKED, announce.PROMOTED}
COMMON = {"name", "version", "verdict", "reason", "by", "number", "created", "report"}
"""What every event says; a data set's also has path."""


def load(path):
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_client_and_server_take_it(path):
    automation = AutomationCore.model_validate(load(path))
    kept = ServerAutomation.model_validate(automation.model_dump(mode="json"))
    assert kept.trigger.expect <= SENT
    assert kept.trigger.threshold == 1
    assert kept.trigger.within.total_seconds() == 0


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_it_names_only_what_the_payload_has(path):

    text = path.read_text()
    named = set(re.findall(r"event\.payload\.(\w+)", text))
    assert named
    allowed = (
        COMMON | {"path"} if load(path)["trigger"]["expect"] == [announce.PUBLISHED] else COMMON
    )
    assert named <= allowed


def test_both_kinds_are_there():
    kinds = {load(path)["actions"][0]["type"] for path in TEMPLATES}
    assert kinds == {"send-notification", "run-deployment"}
    for path in TEMPLATES:
        (action,) = load(path)["actions"]
        placeholder = action.get("deployment_id") or action.get("block_document_id")
        assert UUID(placeholder).int == 0, "the placeholder of a template is zeros"
