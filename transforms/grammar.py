"""The grammar of the pipe language: text to a checked Python syntax tree, with character offsets. Nothing is evaluated."""

from __future__ import annotations

import ast
import difflib
import re
import warnings
from collections.abc import Iterable

from hub.contracts.errors import Misconfigured

MAX_LENGTH = 4_000
MAX_DEPTH = 64

_WIDE = {"（": "(", "）": ")", "，": ",", "｜": "|", "“": '"', "”": '"', "‘": "'", "’": "'", "＝": "=", "＜": "<", "＞": ">"}
_HINTS: dict[type[ast.AST], str] = {
    ast.IfExp: "write if_else(condition, then, otherwise)",
    ast.JoinedStr: "write concat(…) instead of an f-string",
    ast.Subscript: 'write | split(",") | pick(1), or | substring(1, 4)',
    ast.Attribute: 'a heading with a dot is written col("…"); a function follows a pipe: value | trim',
    ast.Lambda: "only functions of the table can be called",
    ast.Dict: 'write code("label=code", …)',
    ast.NamedExpr: "write == to compare",
    ast.Starred: "write the arguments one by one",
}
_ALLOWED = (
    ast.Expression,
    ast.Name,
    ast.Constant,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.Call,
    ast.keyword,
    ast.Tuple,
    ast.List,
)


class ExpressionError(Misconfigured):
    """An expression that does not compile. `offset` is the 0-based character in the text where the fault is."""

    def __init__(self, message: str, *, offset: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.offset = offset


class Source:
    """One expression's text and its tree.

    Python folds identifiers to NFKC while parsing, so `spelling` reads a name off the text again: `代码＿1` stays `代码＿1`.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise ExpressionError(f"the expression has {len(text)} characters, more than {MAX_LENGTH}", offset=MAX_LENGTH, hint="move it into several fields")
        self.text = text
        line = re.sub(r"[\r\n\t\f\v]", " ", text)
        self._lead = len(line) - len(line.lstrip(" "))
        line = line.strip(" ")
        if not line:
            raise ExpressionError("the expression is empty", hint="write a heading, or remove the line")
        self._line = line
        self._bytes = line.encode("utf-8", "surrogatepass")
        self.tree = self._parsed(line)
        self._refuse_strangers()

    def offset(self, node: ast.AST) -> int:
        """Where a node starts, in characters of the text."""
        return self._lead + self._characters(getattr(node, "col_offset", 0))

    def spelling(self, node: ast.expr) -> str:
        """A node's own text."""
        return self._bytes[node.col_offset : node.end_col_offset].decode("utf-8", "surrogatepass")

    def error(self, message: str, node: ast.AST, hint: str = "") -> ExpressionError:
        """An error at a node."""
        return ExpressionError(message, offset=self.offset(node), hint=hint)

    def _characters(self, column: int) -> int:
        return len(self._bytes[:column].decode("utf-8", "replace"))

    def _parsed(self, line: str) -> ast.expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "\d" in a pattern is deprecated Python and means what it says here
                tree = ast.parse(line, mode="eval").body
        except SyntaxError as error:
            raise self._misspelt(line, error) from None
        except UnicodeEncodeError as error:
            raise ExpressionError("a character is half of a surrogate pair", offset=self._lead + error.start) from None
        except (ValueError, MemoryError, RecursionError) as error:
            raise ExpressionError(f"the expression cannot be read: {type(error).__name__}", hint="make it shorter and less deep") from None
        tail = self._bytes[tree.end_col_offset :].decode("utf-8", "replace")
        if "#" in tail:
            raise ExpressionError(
                "a comment has no place in an expression",
                offset=self._lead + len(line) - len(tail) + tail.index("#"),
                hint='headings with # are written col("…")',
            )
        return tree

    def _misspelt(self, line: str, error: SyntaxError) -> ExpressionError:
        at = min(error.offset - 1, len(line)) if error.offset else len(line)
        char = line[at : at + 1]
        hint = 'a heading that is no plain name is written col("…")'
        if char in _WIDE:
            hint = f"outside quotes write {_WIDE[char]} for {char}; {hint}"
        reason = re.sub(r"\s*\(<unknown>.*\)$", "", error.msg or "invalid syntax")
        return ExpressionError(f"not an expression: {reason}", offset=self._lead + at, hint=hint)

    def _refuse_strangers(self) -> None:
        level: list[ast.AST] = [self.tree]
        depth = 0
        while level:
            depth += 1
            for node in level:
                if not isinstance(node, _ALLOWED):
                    raise self.error(
                        f"{_words(node)} is not part of the language",
                        node,
                        _HINTS.get(type(node), "use names, constants, pipes, calls, comparisons, and/or/not"),
                    )
            if depth > MAX_DEPTH:
                raise self.error(f"the expression is more than {MAX_DEPTH} levels deep", level[0], "split it over several fields")
            level = [child for node in level for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr | ast.keyword)]


def nearest(name: str, names: Iterable[str]) -> str:
    """The hint with the most similar name, "" where none is near."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"did you mean {found[0]}?" if found else ""


def _words(node: ast.AST) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).lower()
