"""A web page in one file: styles and pictures inside, nothing to load."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

from PIL import Image

STYLE = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #ffffff; --ink: #1b1f24;
  --soft: #5c6672; --line: #e1e5ea; --accent: #2f6fd6; --bar: #cfe0fb; --note: #fff4d6;
  --note-ink: #6b5200; --stage: linear-gradient(160deg, #fbfcfd, #e9edf2); }
@media (prefers-color-scheme: dark) { :root { --ground: #12151a; --card: #1a1f26; --ink: #e7ebf0;
  --soft: #98a3b0; --line: #2b323c; --accent: #77a9ff; --bar: #274a80; --note: #3a3113;
  --note-ink: #f4dc94; --stage: linear-gradient(160deg, #2a313b, #1b2028); } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 48px 24px 64px; }
h1 { font-size: 38px; line-height: 1.15; letter-spacing: -0.02em; margin: 0 0 12px; }
.eyebrow { color: var(--accent); font-weight: 650; font-size: 15px; margin: 0 0 6px; }
h2 { font-size: 23px; letter-spacing: -0.01em; margin: 56px 0 6px; }
h3 { font-size: 15px; margin: 0 0 10px; }
p { margin: 0 0 14px; max-width: 78ch; }
.lead { font-size: 20px; line-height: 1.45; max-width: 62ch; }
.soft { color: var(--soft); }
.note { background: var(--note); color: var(--note-ink); border-radius: 10px; padding: 12px 16px;
  max-width: none; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 14px;
  margin: 28px 0 20px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 16px 18px; }
.card b { display: block; font-size: 30px; line-height: 1.2; letter-spacing: -0.02em;
  font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 14px; line-height: 1.35; display: block; }
.pictures { display: grid; grid-template-columns: repeat(3, 1fr); gap: 14px; margin: 18px 0; }
.pictures.four { grid-template-columns: repeat(2, 1fr); }
@media (max-width: 860px) { .pictures, .pictures.four { grid-template-columns: 1fr; } }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  overflow: hidden; }
figure img { display: block; width: 100%; height: auto; background: var(--stage); }
figcaption { padding: 11px 16px 13px; font-size: 14px; line-height: 1.4; color: var(--soft); }
figcaption b { color: var(--ink); display: block; font-size: 15px; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 16px; font-size: 14px; margin: 6px 0 0;
  padding: 0; list-style: none; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 4px;
  margin-right: 6px; vertical-align: -1px; border: 1px solid #0002; }
.tables { columns: 2; column-gap: 18px; margin-top: 18px; }
@media (max-width: 860px) { .tables { columns: 1; } }
.table { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 18px; overflow-x: auto; break-inside: avoid; margin-bottom: 18px; }
table { border-collapse: collapse; width: 100%; font-size: 14.5px;
  font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; color: var(--soft); padding: 4px 8px;
  border-bottom: 1px solid var(--line); }
td { text-align: right; padding: 4px 8px; border-bottom: 1px solid var(--line);
  background: linear-gradient(var(--bar), var(--bar)) right / var(--share, 0%) 72% no-repeat; }
tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { text-align: left; }
tr.sum td { font-weight: 650; }
code, pre { font: 13.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 16px; overflow-x: auto; }
footer { margin-top: 56px; border-top: 1px solid var(--line); padding-top: 20px; font-size: 14px;
  color: var(--soft); }
"""


class Bar(str):
    """Text of a cell with a bar behind it."""

    share: float

    def __new__(cls, text: str, share: float) -> Bar:
        made = super().__new__(cls, text)
        made.share = min(max(share, 0.0), 1.0)
        return made


def page(title: str, parts: Iterable[str]) -> str:
    """The whole document."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def cards(values: Iterable[tuple[str, str]]) -> str:
    """Large numbers, each with what it means."""
    inside = "".join(
        f'<div class="card"><b>{escape(value)}</b><span>{escape(text)}</span></div>'
        for value, text in values
    )
    return f'<div class="cards">{inside}</div>'


def figures(pictures: Sequence[tuple[Image.Image, str, str]]) -> str:
    """Pictures side by side, each with a name and a line about it."""
    inside = "".join(
        f'<figure><img src="{picture_data(picture)}" width="{picture.width}" '
        f'height="{picture.height}" alt="{escape(name)}">'
        f"<figcaption><b>{escape(name)}</b>{escape(text)}</figcaption></figure>"
        for picture, name, text in pictures
    )
    kind = "pictures four" if len(pictures) in (2, 4) else "pictures"
    return f'<div class="{kind}">{inside}</div>'


def table(
    title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, total: bool = False
) -> str:
    """A table with a heading; `total`: the last row is a sum."""
    lines = [list(row) for row in rows]
    body = "".join(
        f"<tr{' class=sum' if total and number == len(lines) - 1 else ''}>"
        + "".join(_cell(cell) for cell in line)
        + "</tr>"
        for number, line in enumerate(lines)
    )
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f'<div class="table"><h3>{escape(title)}</h3><table><tr>{names}</tr>{body}</table></div>'


def legend(names: Iterable[tuple[str, Sequence[int]]]) -> str:
    """Names with their colours."""
    inside = "".join(
        '<li><i style="background:rgb({},{},{})"></i>'.format(*color) + f"{escape(name)}</li>"
        for name, color in names
    )
    return f'<ul class="legend">{inside}</ul>'


def picture_data(picture: Image.Image) -> str:
    """A picture as a data URL."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _cell(text: str) -> str:
    if isinstance(text, Bar) and text.share > 0.005:
        return f'<td style="--share:{100 * text.share:.1f}%">{escape(text)}</td>'
    return f"<td>{escape(text)}</td>"
