"""HTML page that needs nothing but itself: no network, no fonts, no files. All text is escaped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

KINDS = {
    "measured": "read from a clock, a meter or the system by the command named as source",
    "datasheet": "published by the maker or in a paper, named as source",
    "estimated": "computed from a model; low and high end given, never a middle",
}
UNKNOWN = "-"


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: text that is shown; `UNKNOWN` where nothing is known.
        value: number that the cell is sorted by; None sorts by the text.
        kind: one of `KINDS`, shown as a mark; empty for none.
    """

    text: str
    value: float | None = None
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table that readers sort by a click on its heads.

    Attributes:
        name: name of its element, for links: `#sort=NAME,COLUMN` opens it sorted.
        caption: sentence that says what it shows.
        heads: heads of the columns.
        rows: rows of as many cells each.
    """

    name: str
    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def html(self) -> str:
        """Return the element."""
        heads = "".join(f'<th scope="col" tabindex="0">{escape(head)}</th>' for head in self.heads)
        rows = "".join(f"<tr>{''.join(map(_cell, row, self.heads))}</tr>" for row in self.rows)
        return (
            f'<div class="scroll"><table id="{escape(self.name)}">'
            f"<caption>{escape(self.caption)}</caption>"
            f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        )


def _cell(cell: Cell, head: str) -> str:
    """Return a cell, with the head of its column for narrow screens, where it stands beside."""
    unknown = cell.text == UNKNOWN
    kinds = ["number"] * (unknown or cell.value is not None) + ["unknown"] * unknown
    look = f' class="{" ".join(kinds)}"' if kinds else ""
    look += f' data-head="{escape(head)}"'
    look += "" if cell.value is None else f' data-value="{cell.value!r}"'
    mark = f' <span class="kind {cell.kind}">{cell.kind}</span>' if cell.kind in KINDS else ""
    shown = escape(cell.text) if cell.text else ""
    return f"<td{look}>{shown}{mark if shown else mark.strip()}</td>"


def plain(value: float) -> str:
    """Return a number with three digits, none of them an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def number(value: float | None, form: str = "") -> Cell:
    """Return a cell of a number, `UNKNOWN` where there is none."""
    if value is None:
        return Cell(UNKNOWN)
    return Cell(f"{value:{form}}" if form else plain(value), float(value))


def between(low: float | None, high: float | None) -> Cell:
    """Return a cell of a range, sorted by its low end; `UNKNOWN` where there is none."""
    if low is None or high is None:
        return Cell(UNKNOWN)
    return Cell(f"{plain(low)} to {plain(high)}", float(low))


def spread(middle: float, low: float, high: float) -> Cell:
    """Return a cell of a median and its range."""
    return Cell(f"{plain(middle)} ({plain(low)} to {plain(high)})", float(middle))


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"


def bullets(texts: Iterable[str]) -> str:
    """Return a list; nothing where there are no texts."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def section(title: str, parts: Iterable[str]) -> str:
    """Return a section with its title; parts are HTML."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def page(title: str, subtitle: str, sections: Iterable[str]) -> str:
    """Return the whole document; sections are HTML."""
    marks = "".join(
        f'<dt><span class="kind {kind}">{kind}</span></dt><dd>{escape(meaning)}</dd>'
        for kind, meaning in KINDS.items()
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p><dl>{marks}</dl></header>"
        f"<main>{''.join(sections)}</main><script>{_SCRIPT}</script></body></html>\n"
    )


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_STYLE = """
:root{--ink:#1b2733;--soft:#5b6875;--line:#d9dfe5;--paper:#fff;--head:#f3f6f8}
*{box-sizing:border-box}
body{margin:0 auto;max-width:80rem;padding:1rem 1.25rem 3rem;background:var(--paper);
color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.7rem;margin:.5rem 0 .25rem}h2{font-size:1.25rem;margin:2.25rem 0 .5rem}
p{max-width:52rem;margin:.4rem 0 .8rem}header p,caption,.note{color:var(--soft)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem .75rem;font-size:.875rem}
dd{margin:0}
.scroll{overflow-x:auto;margin:.75rem 0 1.25rem}
table{border-collapse:collapse;font-size:.875rem;min-width:100%}
caption{text-align:left;padding-bottom:.4rem;font-size:.875rem;max-width:52rem}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:left;
vertical-align:top}
th{background:var(--head);vertical-align:bottom;cursor:pointer}
th:focus-visible{outline:2px solid #1d5fa8;outline-offset:-2px}
th[aria-sort=ascending]::after{content:" \\25b2"}
th[aria-sort=descending]::after{content:" \\25bc"}
td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td:first-child{font-weight:600}td:nth-child(2){white-space:nowrap}
td:last-child{min-width:11rem;color:var(--soft);font-size:.92em}
ul{max-width:52rem;padding-left:1.2rem;font-size:.875rem;color:var(--soft)}
.kind{display:inline-block;font-size:.82em;line-height:1.25;padding:.05rem .4rem;
border:1px solid;border-radius:.6rem;white-space:nowrap;font-weight:400}
.measured{color:#0b6b3a;background:#e6f5ec}.datasheet{color:#1d4e89;background:#e8f0fa}
.estimated{color:#8a4b00;background:#fdf1e0;border-style:dashed}
svg{display:block;width:100%;max-width:52rem;height:auto;font:12px system-ui,sans-serif}
svg text{fill:var(--ink)}svg .grid{stroke:var(--line)}
.bars{max-width:60rem;margin:.75rem 0 1.25rem;font-size:.875rem}
.bar{display:grid;grid-template-columns:18rem 1fr 11rem;gap:.1rem .75rem;align-items:center;
padding:.1rem 0}
.label{text-align:right;overflow-wrap:anywhere}.label small{color:var(--soft);white-space:nowrap}
.value{color:var(--soft)}
.track,.axis,.parts{position:relative;height:1.1rem;display:flex}
.track i{position:absolute;top:.2rem;height:.7rem;border:1px solid;border-radius:2px}
.track b{position:absolute;top:0;bottom:-.2rem;border-left:1px solid var(--line)}
.axis b{position:absolute;transform:translateX(-50%);font-weight:400;color:var(--soft)}
.axis b:last-child{transform:translateX(-100%)}
.parts i{color:#fff;font-style:normal;font-size:.8em;text-align:center;overflow:hidden}
.key{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.25rem;padding:0;max-width:60rem}
.key svg{display:inline-block;width:1.5rem;height:.4rem;margin-right:.4rem;vertical-align:middle}
@media(max-width:40rem){body{padding:.5rem .75rem 2rem;font-size:15px}
h1{font-size:1.35rem}dl{grid-template-columns:1fr}dd{margin-bottom:.3rem}
.bar{grid-template-columns:1fr auto;padding:.3rem 0}.label{text-align:left}
.value{text-align:right}.track,.axis,.parts{grid-column:1/-1;order:1;margin:0 .5rem}
svg{font-size:21px}svg .minor{display:none}
table,tbody,tr,td,caption{display:block}td.number{text-align:left;white-space:normal}
thead tr{display:flex;flex-wrap:wrap;gap:.3rem;margin:.4rem 0}
thead tr::before{content:"sort by";color:var(--soft);padding:.2rem 0}
th{border:1px solid var(--line);border-radius:.4rem;padding:.2rem .5rem;font-weight:400}
tbody tr{border:1px solid var(--line);border-radius:.4rem;margin:.5rem 0;padding:.4rem .6rem}
td,td:last-child{border:0;padding:.1rem 0;min-width:0;white-space:normal;overflow-wrap:anywhere}
td:not(:first-child)::before{content:attr(data-head) ": ";color:var(--soft);font-weight:400}
td.unknown{display:none}}
@media print{@page{size:landscape;margin:12mm}body{max-width:none;padding:0;font-size:9.5pt}
.scroll{overflow:visible}svg{max-width:11cm}table{font-size:8pt;min-width:0}
td:last-child{min-width:0}th,td{padding:.15rem .3rem}
thead{display:table-header-group}tr,svg,.bar{break-inside:avoid}h2,caption{break-after:avoid}
td:last-child{overflow-wrap:anywhere}}
"""
_SCRIPT = """
function key(row,n){const c=row.cells[n];
return c.dataset.value===undefined?c.textContent.trim():Number(c.dataset.value)}
function compare(a,b){const x=typeof a==="number",y=typeof b==="number";
return x&&y?a-b:x?-1:y?1:a.localeCompare(b)}
function sort(table,n,down){const body=table.tBodies[0],rows=[...body.rows];
rows.sort((a,b)=>{const x=key(a,n),y=key(b,n);
return typeof x===typeof y?(down?-1:1)*compare(x,y):compare(x,y)});
body.append(...rows);[...table.tHead.rows[0].cells].forEach((th,i)=>i===n?
th.setAttribute("aria-sort",down?"descending":"ascending"):th.removeAttribute("aria-sort"))}
function turn(th){sort(th.closest("table"),th.cellIndex,
th.getAttribute("aria-sort")==="ascending")}
document.querySelectorAll("th").forEach(th=>{th.addEventListener("click",()=>turn(th));
th.addEventListener("keydown",e=>{if(e.key==="Enter"||e.key===" "){e.preventDefault();turn(th)}})});
function follow(){const m=/^#sort=([\\w-]+),(\\d+)(,down)?$/.exec(location.hash);
const t=m&&document.getElementById(m[1]);
if(t&&t.tHead&&m[2]<t.tHead.rows[0].cells.length)sort(t,Number(m[2]),Boolean(m[3]))}
addEventListener("hashchange",follow);follow();
"""
