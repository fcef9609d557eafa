"""Masked values are recognisable and no more."""

from __future__ import annotations

import polars as pl
import pytest

from hub.contracts.errors import Misconfigured
from tests.unit.sample_items import PENALTY, PERSON
from transforms.masking import default_mask, mask


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("name", "张三", "张*"),
        ("name", "王小明", "王**"),
        ("name", "欧阳修远", "欧阳**"),
        ("name", "欧阳", "欧*"),
        ("name", "张", "张*"),
        ("party", "常熟市虞山纺织有限公司", "常熟市虞山纺织有限公司"),
        ("party", "李四", "李*"),
        ("id_no", "11010519491231002X", "110105********002X"),
        ("id_no", "H12345", "***"),
        ("phone", "13812341234", "138****1234"),
        ("phone", "12345", "***"),
        ("account", "6222020200112233445", "****3445"),
        ("address", "江苏省常熟市虞山街道枫林路88号3幢201室", "江苏省常熟市虞山街道***"),
        ("address", "某处", "***"),
        ("all", "任何", "***"),
        ("none", "任何", "任何"),
    ],
)
def test_each_mask_hides_what_it_should(kind, value, shown):
    frame = pl.DataFrame({"v": [value, None]}, schema={"v": pl.String})

    assert frame.select(mask(kind, pl.col("v")).alias("v")).get_column("v").to_list() == [shown, None]


def test_an_unknown_mask_is_a_mistake_of_the_configuration():
    with pytest.raises(Misconfigured, match="blur"):
        mask("blur", pl.col("v"))


@pytest.mark.parametrize(
    ("item", "field", "kind"),
    [
        (PENALTY, "xdr_name", None),
        (PENALTY, "uscc", None),
        (PENALTY, "legal_rep", "name"),
        (PENALTY, "legal_rep_id", "id_no"),
        (PERSON, "name", "name"),
        (PERSON, "id_no", "id_no"),
        (PERSON, "tel", "phone"),
        (PERSON, "address", "address"),
        (PERSON, "doc_no", None),
    ],
)
def test_persons_are_masked_and_companies_are_not(item, field, kind):
    assert default_mask(item.by_name[field], item) == kind
