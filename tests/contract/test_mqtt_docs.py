"""docs/mqtt.md says what the models say, with examples that are what a running site says."""

from __future__ import annotations

from controller.commands import COMMANDS
from controller.messages import MESSAGES
from tests.contract.mqtt_docs import COMMAND, HOW, PAGE, rewritten


def test_the_page_of_topics_and_commands_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == rewritten(page), f"docs/mqtt.md is out of date; run: {COMMAND}"


def test_every_message_and_every_command_has_its_section() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert set(HOW) == set(MESSAGES)
    for topic in (*MESSAGES, *(f"command/{name}" for name in COMMANDS)):
        assert f"### `{topic}`" in page, topic
