"""Figures of what was used and earned: added up beside the books, read by reports and pages, never scanned anew."""
