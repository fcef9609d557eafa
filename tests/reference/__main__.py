"""Writes the pages of `docs/reference`."""

from __future__ import annotations

from tests.reference.pages import FOLDER, PAGES

FOLDER.mkdir(parents=True, exist_ok=True)
for name, make in PAGES.items():
    page = FOLDER / name
    text = make()
    state = "as it was" if page.exists() and page.read_text("utf-8") == text else "written"
    page.write_text(text, encoding="utf-8")
    print(f"docs/reference/{name}  {state}")
