"""An audit as a document: canonical JSON with its hash, and what is drawn from that JSON alone."""

from audit.report.document import build_document, findings_of, read_document, report_bytes
from audit.report.html import html
from audit.report.pdf import pdf
from audit.report.verify import Verification, verify

__all__ = ["Verification", "build_document", "findings_of", "html", "pdf", "read_document", "report_bytes", "verify"]
