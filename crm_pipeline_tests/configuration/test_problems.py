"""pydantic's findings become one plain sentence per key, without values."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import Field, ValidationError, field_validator, model_validator

from crm_pipeline.configuration.model import EnvVariable, YamlModel
from crm_pipeline.configuration.problems import Problem, ProblemsError, did_you_mean, dotted, problems_of, without_credentials

VALUE = "Zq81"


class Part(YamlModel):
    from_: Annotated[str, Field(alias="from", description="Where it comes from.", examples=["here"])]
    size: Annotated[int, Field(description="How large.", examples=[3], ge=1)] = 1
    kind: Literal["round", "square"] = "round"


class Whole(YamlModel):
    part: str | Part | None = None
    parts: Part | list[Part] | None = None
    free: dict[str, str | Part] | None = None
    number: float = 0
    secret: Annotated[EnvVariable | None, Field(description="A secret.", examples=[{"env": "WHOLE_SECRET"}])] = None
    code: Annotated[str, Field(description="Two letters.", examples=["ab"], pattern="^[a-z]{2}$")] = "ab"
    even: int = 0

    @field_validator("even")
    @classmethod
    def _is_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even, for example 2")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.number > 100:
            raise ProblemsError([Problem(("number",), "too much for one"), Problem(("parts", 0), "too few parts")])
        return self


def told(raw: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(raw)
    return {dotted(problem.path): problem.message for problem in problems_of(caught.value, model=Whole, raw=raw)}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"part": {"from": "x", "size": "large"}}, {"part.size": "must be a whole number"}),
        ({"part": 3}, {"part": "must be text or a table of `key: value`; YAML reads this as a number: put it in quotes if text is meant"}),
        (
            {"part": True},
            {"part": "must be text or a table of `key: value`; YAML reads this as true or false: put it in quotes if text is meant"},
        ),
        ({"part": [1]}, {"part": "must be text or a table of `key: value`"}),
        ({"parts": [{"from": "x"}, {"from": "x", "kind": VALUE}]}, {"parts[1].kind": "must be one of: 'round' or 'square'"}),
        ({"parts": {"from": "x", "sise": 1}}, {"parts.sise": "unknown key; did you mean `size`?"}),
        ({"parts": VALUE}, {"parts": "must be a table of `key: value` or a list"}),
        ({"free": {"a": {"from": "x", "from_x": 1}}}, {"free.a.from_x": "unknown key; did you mean `from`?"}),
        ({"number": VALUE}, {"number": "must be a number"}),
        ({"numbre": 1}, {"numbre": "unknown key; did you mean `number`?"}),
        ({"zzz": 1}, {"zzz": "unknown key; known here: part, parts, free, number, secret, code, even"}),
        ({"code": VALUE}, {"code": "does not have the right form. Two letters, for example ab"}),
        ({"even": 3}, {"even": "must be even, for example 2"}),
        ({"number": 101}, {"number": "too much for one", "parts[0]": "too few parts"}),
    ],
)
def test_each_key_is_told_once_in_plain_words(raw: dict[str, Any], expected: dict[str, str]) -> None:
    assert told(raw) == expected


def test_missing_key_is_told_by_its_yaml_name_with_meaning_and_example() -> None:
    assert told({"parts": [{"size": 2}]}) == {"parts[0].from": "this key is missing. Where it comes from, for example here"}


def test_limit_of_a_number_is_told_with_meaning_and_example() -> None:
    assert told({"parts": [{"from": "x", "size": 0}]}) == {
        "parts[0].size": "Input should be greater than or equal to 1. How large, for example 3"
    }


@pytest.mark.parametrize("wrong", [VALUE, {"env": VALUE + "-"}, {VALUE: None}, {"env": {VALUE: 1}}, [VALUE], 1234])
def test_whatever_stands_in_place_of_a_credential_is_never_repeated(wrong: Any) -> None:
    (message,) = told({"secret": wrong}).values()
    assert message.startswith("a credential is never written here")
    assert "`secret: {env: WHOLE_SECRET}`" in message
    assert "1234" not in message
    assert VALUE not in message


def test_problems_found_elsewhere_lose_what_lies_below_a_credential() -> None:
    found = [Problem(("secret", VALUE), f"{VALUE} is odd"), Problem(("number",), "too odd")]
    kept = without_credentials(found, model=Whole)
    assert [problem.path for problem in kept] == [("secret",), ("number",)]
    assert all(VALUE not in problem.message for problem in kept)


def test_error_of_several_problems_names_each_in_its_text() -> None:
    assert str(ProblemsError([Problem(("a", 0), "odd"), Problem(("b",), "even")])) == "a[0]: odd; b: even"


def test_nearest_known_word_is_proposed() -> None:
    assert did_you_mean("custmer", ["contact", "customer"]) == "did you mean `customer`?"


def test_all_known_words_are_named_where_none_is_near() -> None:
    assert did_you_mean("x", ["contact", "customer"]) == "known here: contact, customer"
