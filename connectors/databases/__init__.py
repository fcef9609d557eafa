"""Agencies' databases: pulled by query, never by `SELECT *`; one file per system, and what all of them share."""
