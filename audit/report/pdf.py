"""A report on paper: the same HTML, typeset by WeasyPrint; the same document gives the same bytes."""

import logging
from collections.abc import Mapping
from typing import Any

from audit.report.html import html


def pdf(document: Mapping[str, Any]) -> bytes:
    """Return a report as a tagged PDF.

    The identifier is the report's hash and there is no date in it, so that two of one report are identical.

    Args:
        document: As `audit.report.document.build_document` returns it.
    """
    # Loaded here: it takes a second and only whoever wants paper needs it.
    from weasyprint import HTML

    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    page = HTML(string=html(document, paper=True), url_fetcher=_nothing)
    content: bytes = page.write_pdf(pdf_identifier=bytes.fromhex(document["hash"]), pdf_variant="pdf/ua-1")
    return content


def _nothing(url: str, *_: Any, **__: Any) -> dict[str, Any]:  # noqa: ANN401 - WeasyPrint's signature
    # A report stands alone: whatever wants to be fetched was smuggled in.
    raise ValueError(f"a report fetches nothing, not {url!r}")
