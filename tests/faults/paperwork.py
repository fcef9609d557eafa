"""Synthetic files of one feed: new rows, changes, repeats, withdrawals, and rows that no check may pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def uscc(number: int) -> str:
    """A well-formed unified social credit code (GB 32100-2015) of a synthetic firm."""
    body = f"91320581MA{number:07d}"
    total = sum(USCC_ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(body))
    return body + USCC_ALPHABET[-total % 31]


def id_no(number: int) -> str:
    """A well-formed ID number (GB 11643-1999) of a synthetic person born in 1901 or later."""
    day, order = divmod(number, 1000)
    body = f"320581{1901 + day // 336}{day % 336 // 28 + 1:02d}{day % 28 + 1:02d}{order:03d}"
    total = sum(int(c) * pow(2, 17 - i, 11) for i, c in enumerate(body))
    return body + "10X98765432"[total % 11]


def spoilt(code: str) -> str:
    """The same code with a check symbol that cannot be right."""
    return code[:-1] + ("2" if code[-1] != "2" else "3")


@dataclass(frozen=True)
class Form:
    """How an item's file looks: `identifier` is the subject's field, `headings` the catalogue's titles by field, in order."""

    identifier: str
    headings: dict[str, str]
    key: tuple[str, ...]
    strays: bool  # whether rows may come without the identifier

    @property
    def content(self) -> list[str]:
        """Fields that make two rows equal: all but the operation."""
        return [name for name in self.headings if name != "op"]


FIRMS = Form(
    "uscc",
    {
        "doc_no": "决定书文号",
        "uscc": "统一社会信用代码",
        "reg_no": "工商注册号",
        "name": "相对人名称",
        "facts": "违法事实",
        "fine_wan": "罚款金额（万元）",
        "decided": "决定日期",
        "op": "操作标识",
    },
    ("doc_no",),
    strays=True,
)
PERSONS = Form(
    "id_no",
    {"doc_no": "决定书文号", "id_no": "证件号码", "name": "姓名", "facts": "违法事实", "fine_wan": "罚款金额（万元）", "decided": "决定日期", "op": "操作标识"},
    ("doc_no", "id_no"),
    strays=False,
)


class Clerk:
    """Writes one agency's rows, one file after the other, from a seeded source of chance. Every second thousand of documents is never touched again."""

    def __init__(self, form: Form, random: Random) -> None:
        self.form = form
        self._random = random
        self._files = 0
        self._number = 0
        self._sent: list[dict[str, str]] = []
        self._plain: list[dict[str, str]] = []

    def file(self, rows: int) -> list[dict[str, str]]:
        """The next file's rows: one half new, or in every third file the half of the file before once more; the other half mixed.

        Of a hundred mixed rows about 78 are new, 8 changed, 6 repeated, 3 withdrawn, 4 bad and, where the form has them, 1 is a stray.
        """
        self._files += 1
        if self._files % 3 or len(self._plain) != rows // 2:
            self._plain = [self._kept(self._new()) for _ in range(rows // 2)]
        return [*self._plain, *(self._row() for _ in range(rows - rows // 2))]

    def _row(self) -> dict[str, str]:
        chance = self._random.random()
        if len(self._sent) < 10 or chance < 0.78:
            return self._kept(self._new())
        if chance < 0.86:
            return self._kept(self._random.choice(self._sent) | {"facts": f"更正第{self._random.randrange(10**6)}次", "op": "I"})
        if chance < 0.92:
            return self._kept(dict(self._random.choice(self._sent[-400:]), op="I"))
        if chance < 0.95:
            return dict(self._random.choice(self._sent), op="D")
        if chance < 0.99 or not self.form.strays:
            fresh = self._new()
            return fresh | {self.form.identifier: spoilt(fresh[self.form.identifier]), "made": "bad"}
        return self._new() | {self.form.identifier: "", "reg_no": f"{self._number:015d}", "made": "stray"}

    def _kept(self, row: dict[str, str]) -> dict[str, str]:
        if self._number // 1_000 % 2 == 0:
            self._sent.append(row)
        return row

    def _new(self) -> dict[str, str]:
        self._number += 1
        number = self._number
        code = uscc(number % 5_000) if self.form.identifier == "uscc" else id_no(number % 5_000)
        row = {
            "doc_no": f"常样罚字〔2026〕第{number}号",
            self.form.identifier: code,
            "reg_no": "",
            "name": f"常熟市样例第{number % 5_000}有限公司" if self.form.strays else f"样例人{number % 5_000}",
            "facts": f"样例事实{self._random.randrange(10**9)}",
            "fine_wan": f"{self._random.randrange(1, 90_000) / 100:.2f}",
            "decided": f"20{self._random.randrange(10, 26)}-{self._random.randrange(1, 13):02d}-{self._random.randrange(1, 29):02d}",
            "op": "I",
            "made": "good",
        }
        return row if "reg_no" in self.form.headings else {k: v for k, v in row.items() if k != "reg_no"}


def lines(form: Form, rows: list[dict[str, str]]) -> Iterator[str]:
    """The rows as the agency writes them: a heading, then a line each."""
    yield ",".join(form.headings.values()) + "\r\n"
    for row in rows:
        yield ",".join(row[name] for name in form.headings) + "\r\n"
