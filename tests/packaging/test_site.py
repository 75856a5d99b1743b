"""The docs as a site; `make site` builds it."""

from pathlib import Path

from docs.site import foreign_parts


def test_what_a_page_loads_from_elsewhere_is_found(tmp_path: Path) -> None:
    """Scripts, styles and images of other hosts; a link that a reader may follow is none."""
    (tmp_path / "page.html").write_text(
        '<link rel="stylesheet" href="https://fonts.invalid/a.css"><script src=//cdn.invalid/b.js></script>'
        '<img alt="c" src="assets/c.png"><a href="https://example.invalid">d</a>',
        encoding="utf-8",
    )
    assert list(foreign_parts(tmp_path)) == ["page.html: https://fonts.invalid/a.css", "page.html: //cdn.invalid/b.js"]
