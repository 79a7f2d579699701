"""A WHERE clause as it comes over the API: what is refused, and what of it does MySQL understand?

The clause is raw SQL. A validator looks at it first: one expression without further clauses, functions that harm refused, selections inside
only behind IN and not of ``users``; else error 40. What is wrong with the SQL itself fails in the database, a 500. Sources: SugarCRM
developer guide, "get_entry_list": the query is "the SQL WHERE clause without the word where"; SuiteCRM's ``SugarSQLValidate``; MySQL
manual, "Identifier Case Sensitivity" and "Restrictions on Subqueries" (no LIMIT behind IN).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from crm_pipeline.sandbox.sugarcrm.errors import DatabaseFailure, access_denied
from crm_pipeline.sandbox.sugarcrm.modules import PAIRS, STANDARD

HARMFUL = frozenset(
    {"benchmark", "encode", "sleep", "generate_series", "load_file", "sys_eval", "user_name", "xp_cmdshell", "sys_exec"}
    | {"sp_replwritetovarbin"}
)
CLAUSES = frozenset({"union", "group", "order", "having", "limit", "into", "procedure"})
"""What would be a clause of its own; inside a selection it is SQL like any other."""
SEVERAL_STATEMENTS = (";", "--", "/*", "#")
FUNCTIONS = frozenset({"lower", "upper", "length", "trim", "ltrim", "rtrim", "replace", "ifnull", "coalesce", "abs", "count", "min", "max"})
OPERATORS = {"&&": "AND", "||": "OR", "!": "NOT", "<=>": "IS"}
UNKNOWN_TO_MYSQL = frozenset({"glob", "match", "isnull", "notnull", "collate", "cast", "regexp"})
"""What the database beneath would take, and MySQL would not, or otherwise."""
TABLES = frozenset({*PAIRS, *(module.table for module in STANDARD), *(module.custom_table for module in STANDARD)})
ESCAPES = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a", "%": "\\%", "_": "\\_"}

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    | (?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
    | (?P<number>\d+(?:\.\d+)?(?![\w]))
    | (?P<name>`[^`]+`|[A-Za-z_][A-Za-z0-9_]*)
    | (?P<operator><=>|<>|!=|<=|>=|&&|\|\||[=<>!(),.+*/%-])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def translated(query: str) -> str:
    """The clause in the SQL of the database beneath. Raises ApiError (40) and DatabaseFailure."""
    bare = _TOKEN.sub(lambda match: "" if match.lastgroup == "text" else match.group(), query)
    if any(sign in bare for sign in SEVERAL_STATEMENTS):
        raise access_denied()
    tokens = list(_tokens(query))
    _validate(tokens)
    return " ".join(_written(token, follows) for token, follows in zip(tokens, [*tokens[1:], None], strict=True))


def _tokens(query: str) -> Iterator[_Token]:
    at = 0
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None:
            raise DatabaseFailure
        at = match.end()
        if match.lastgroup and match.lastgroup != "space":
            yield _Token(match.lastgroup, match.group())


def _validate(tokens: list[_Token]) -> None:
    depth, selections = 0, list[int]()
    words = [token.text.lower().strip("`") if token.kind == "name" else token.text for token in tokens]
    before, after = ["", *words], [*words[1:], ""]
    for token, word, previous, following, last in zip(tokens, words, before, after, ["", *before], strict=False):
        if word == "(":
            depth += 1
        elif word == ")":
            if (last, previous) == ("in", "("):
                raise DatabaseFailure
            selections = selections[:-1] if selections[-1:] == [depth] else selections
            depth -= 1
        elif token.kind == "name" and _refused(word, previous, following, inside=bool(selections)):
            raise access_denied()
        elif word == "limit":
            raise DatabaseFailure
        elif word == "select":
            if last != "in":
                raise access_denied()
            selections.append(depth)
        if depth < 0:
            raise access_denied()
    if depth:
        raise DatabaseFailure


def _refused(word: str, previous: str, following: str, *, inside: bool) -> bool:
    """Whether the validator refuses a name where it stands; ``inside``: in a selection."""
    if word == "select":
        return previous != "("
    if word == "users":
        return inside and following != "."
    return word == "user_hash" or (word in HARMFUL and following == "(") or (word in CLAUSES and not inside)


def _written(token: _Token, follows: _Token | None) -> str:
    if token.kind == "text":
        return "'" + _plain(token.text).replace("'", "''").replace("\0", "") + "'"
    if token.kind == "operator":
        return OPERATORS.get(token.text, token.text)
    if token.kind == "name":
        word = token.text.lower().strip("`")
        called = follows is not None and follows.text == "("
        if word in TABLES and word != token.text.strip("`"):
            raise DatabaseFailure
        if word in UNKNOWN_TO_MYSQL or (called and word not in FUNCTIONS and word not in {"in", "and", "or", "not", "where", "on", "from"}):
            raise DatabaseFailure
    return token.text


def _plain(literal: str) -> str:
    """The text of a literal, its escapes undone; ``%`` and ``_`` keep theirs, which is LIKE's."""
    quote, inner = literal[0], literal[1:-1]
    pattern = rf"(?s)\\(.)|{quote}{quote}"
    return re.sub(pattern, lambda match: quote if match[1] is None else ESCAPES.get(match[1], match[1]), inner)
