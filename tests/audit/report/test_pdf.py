"""The paper form: the same bytes for the same report, and its text."""

from io import BytesIO

import pytest
from pypdf import PdfReader

from audit.report import build_document, pdf
from audit.report.pdf import _nothing
from tests.audit.report.findings import FACTS, findings


def test_pdf_is_the_same_twice_and_can_be_read() -> None:
    document = build_document(findings(), facts=FACTS)
    made = pdf(document)
    assert made == pdf(document)
    reader = PdfReader(BytesIO(made))
    text = "\n".join(page.extract_text() for page in reader.pages)
    assert document["report_id"] in text
    assert "Disparity was found in 1 of 3 declared comparisons" in " ".join(text.split())
    assert reader.trailer["/Root"]["/Lang"] == "en"  # type: ignore[index]
    assert "/CreationDate" not in (reader.metadata or {})


def test_nothing_is_fetched() -> None:
    with pytest.raises(ValueError, match="fetches nothing"):
        _nothing("file:///etc/passwd")
