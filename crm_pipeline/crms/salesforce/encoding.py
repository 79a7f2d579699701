"""How answers are asked for and read: by orjson, in a sixth of the client library's time."""

from __future__ import annotations

from typing import Any

import orjson
import requests
from simple_salesforce.api import Salesforce


class Client(Salesforce):
    """The client library, but for that."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Answers that are laid out for people are larger, and nobody looks at them.
        self.headers.pop("X-PrettyPrint", None)

    def parse_result_to_json(self, result: requests.Response) -> Any:
        """The JSON of an answer."""
        try:
            return orjson.loads(result.content)
        except orjson.JSONDecodeError:
            # It reads neither lone surrogates nor numbers beyond measure.
            return super().parse_result_to_json(result)
