"""How a browser asks the chat over Gradio's queue, for tests without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

JOIN = "/gradio_api/queue/join"
DATA = "/gradio_api/queue/data"


@dataclass(frozen=True, slots=True)
class Box:
    """The question box of a page, as `/config` describes it, with what else the page holds."""

    box: int
    event: int
    inputs: list[int]
    values: dict[int, Any]

    @classmethod
    def of(cls, config: dict[str, Any]) -> Box:
        parts = {part["id"]: part["props"] for part in config["components"]}
        box = next(key for key, props in parts.items() if props.get("elem_id") == "nr-question")
        event = next(
            one for one in config["dependencies"] if [box, "submit"] in map(list, one["targets"])
        )
        values = {key: props.get("value") for key, props in parts.items()}
        return cls(box, event["id"], event["inputs"], values)

    def body(self, question: str, session: str) -> dict[str, Any]:
        """What is posted to `JOIN` when somebody presses Enter on a page just opened."""
        values = self.values | {self.box: question}
        return {
            "data": [values[key] for key in self.inputs],
            "fn_index": self.event,
            "trigger_id": self.box,
            "session_hash": session,
        }


def messages(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """What comes from `DATA`, until the event has ended. Raises `ValueError` when it breaks off."""
    for line in lines:
        if line.startswith("data:"):
            message = json.loads(line[len("data:") :])
            yield message
            if message["msg"] == "process_completed":
                return
    raise ValueError("the answer broke off")
