"""The page of faults: its table of shipped bundles can be written anew column by column."""

import caught
import pytest


def test_columns_that_are_kept_make_the_same_table():
    page = caught.TARGET.read_text(encoding="utf-8")
    columns = caught.columns_of(page)
    assert {len(column) for column in columns.values()} == {sum(case.anywhere for case in caught.BROKEN.values())}
    title = caught.SHIPPED.split("\n\n", 1)[0]
    assert page.endswith(caught.shipped_table(None, None, (), columns))
    assert page.count(title) == 1


def test_a_page_of_other_faults_is_not_kept():
    page = caught.TARGET.read_text(encoding="utf-8").replace("| no id |", "| no name |")
    with pytest.raises(AssertionError, match="other faults than those of the page"):
        caught.columns_of(page)
