"""SOAP services of agencies: asked by the description that they gave us, never by one fetched from anywhere."""

from __future__ import annotations

from connectors.soap.settings import SoapConfig, SoapRead

__all__ = ["SoapConfig", "SoapRead"]
