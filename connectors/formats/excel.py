"""Spreadsheets (.xlsx, .xls, .ods), read in a throw-away process with limits."""

from __future__ import annotations

from hub.contracts.endpoint import EndpointConfig


class ExcelFormat(EndpointConfig):
    """Spreadsheets (.xlsx, .xls, .ods), read in a throw-away process with limits."""
