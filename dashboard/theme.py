"""The look of the console: one palette in two modes, and the style sheet that Streamlit's own theme can't express.

The palette is Okabe and Ito's, darkened or lightened until text reaches 4.5:1 and marks 3:1 on their background
(WCAG 2.2, 1.4.3 and 1.4.11). Gain and loss differ in hue, in lightness and in sign, never in colour alone.

Source: Okabe and Ito 2008, "Color Universal Design".
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import Final, Literal

Mode = Literal["light", "dark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours by what they mean, as ``#RRGGBB``."""

    paper: str
    panel: str
    raised: str
    line: str
    ink: str
    muted: str
    accent: str
    link: str
    gain: str
    gain_mark: str
    loss: str
    loss_mark: str
    good: str
    warn: str
    bad: str
    good_tint: str
    warn_tint: str
    bad_tint: str
    info_tint: str


LIGHT: Final = Palette(
    paper="#FBFAF7",
    panel="#F1EEE7",
    raised="#FFFFFF",
    line="#D8D2C6",
    ink="#1C2127",
    muted="#595F67",
    accent="#005F99",
    link="#00568C",
    gain="#00568C",
    gain_mark="#0072B2",
    loss="#9C3F00",
    loss_mark="#C75400",
    good="#00664B",
    warn="#7A5200",
    bad="#9C2F00",
    good_tint="#E3F3EC",
    warn_tint="#FBF0D6",
    bad_tint="#FBE8DE",
    info_tint="#E4F0F8",
)
DARK: Final = Palette(
    paper="#14171C",
    panel="#1E232A",
    raised="#1A1E24",
    line="#39414C",
    ink="#ECE9E2",
    muted="#A9B0BA",
    accent="#0E7BBF",
    link="#7CC4F2",
    gain="#7CC4F2",
    gain_mark="#56B4E9",
    loss="#F5A66B",
    loss_mark="#F08A4B",
    good="#5FD6AE",
    warn="#F0C35A",
    bad="#F5A083",
    good_tint="#12312A",
    warn_tint="#352A10",
    bad_tint="#3A1F16",
    info_tint="#122C3D",
)
PALETTES: Final[dict[Mode, Palette]] = {"light": LIGHT, "dark": DARK}
CATEGORICAL: Final[dict[Mode, tuple[str, ...]]] = {
    "light": ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4A4A4A"),
    "dark": ("#56B4E9", "#E69F00", "#2BC79A", "#E39CC4", "#F0E442", "#7FA7FF", "#B8BEC6"),
}


_LINEAR_BELOW: Final = 0.04045


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21.

    Source: WCAG 2.2, definition of contrast ratio.

    Example:
        >>> round(contrast("#000000", "#FFFFFF"), 1)
        21.0
    """
    bright, dim = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= _LINEAR_BELOW else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@cache
def style_sheet() -> str:
    """Return the style sheet; ``light-dark()`` follows Streamlit's mode without a rerun."""
    variables = "".join(
        f"--rr-{field.name.replace('_', '-')}:light-dark({getattr(LIGHT, field.name)},{getattr(DARK, field.name)});"
        for field in fields(Palette)
    )
    return f"<style>.stApp{{{variables}}}{_RULES}</style>"


_RULES: Final = """
.stApp h1 {letter-spacing:-.015em; padding-bottom:.1rem}
.stMainBlockContainer {max-width:80rem; padding:3.5rem 2.5rem 4rem}
.stApp [data-testid="stSliderThumbValue"] p {color:var(--rr-link)}
.rr {color:var(--rr-ink); font-size:1rem; line-height:1.5}
.rr * {box-sizing:border-box}
.rr bdi {unicode-bidi:isolate}
.rr p {margin:0}
.rr-muted {color:var(--rr-muted)}
.rr-lede {color:var(--rr-muted); max-width:80ch}
.rr-eyebrow {color:var(--rr-muted); font-size:.75rem; letter-spacing:.09em; text-transform:uppercase; font-weight:600}
.rr-num {font-variant-numeric:tabular-nums; white-space:nowrap}
.rr-gain {color:var(--rr-gain)} .rr-loss {color:var(--rr-loss)}
.rr a {color:var(--rr-link)}
.rr :focus-visible {outline:2px solid var(--rr-link); outline-offset:2px}

.rr ol.rr-cards {display:grid; grid-template-columns:repeat(auto-fill,minmax(min(100%,12.6rem),1fr)); gap:.9rem;
  list-style:none; margin:0; padding:0}
.rr-card {background:var(--rr-raised); border:1px solid var(--rr-line); border-radius:8px; display:flex;
  flex-direction:column; min-width:0; overflow:hidden; margin:0 !important; font-size:1rem}
.rr-card-top {padding:.8rem .9rem .55rem; border-top:4px solid var(--rr-accent)}
.rr-card-line {display:flex; justify-content:space-between; align-items:baseline; gap:.5rem}
.rr-rank {font-family:"Source Serif",Georgia,serif; font-size:1.5rem; font-weight:600; line-height:1;
  color:var(--rr-muted)}
.rr-title {font-family:"Source Serif",Georgia,serif; font-size:1.13rem; font-weight:600; line-height:1.25;
  margin:.35rem 0 .15rem; overflow-wrap:anywhere; padding:0}
.rr-title a {color:var(--rr-ink); text-decoration-color:var(--rr-line); text-underline-offset:3px}
.rr-meta {color:var(--rr-muted); font-size:.85rem; line-height:1.4}
.rr-synopsis {padding:0 .9rem; font-size:.9rem; overflow-wrap:anywhere; flex:1}
.rr-why {margin:.7rem 0 0; padding:.6rem .9rem .75rem; background:var(--rr-panel);
  border-top:1px solid var(--rr-line); font-size:.86rem}
.rr .rr-why ul {list-style:none; margin:.25rem 0 0; padding:0; font-size:inherit}
.rr .rr-why li {display:flex; justify-content:space-between; gap:.6rem; margin:0; padding:.08rem 0; font-size:inherit;
  overflow-wrap:anywhere}
.rr-tags {display:flex; flex-wrap:wrap; gap:.3rem; margin:.35rem 0 .5rem}
.rr-tag {border:1px solid var(--rr-line); border-radius:99px; padding:.02rem .5rem; font-size:.78rem;
  color:var(--rr-ink); background:var(--rr-panel)}

.rr-banner {border:1px solid var(--rr-line); border-left:5px solid var(--rr-accent); border-radius:6px;
  padding:.75rem 1rem; background:var(--rr-info-tint); overflow-wrap:anywhere}
.rr-banner strong {display:block; font-weight:600}
.rr-banner code, .rr-command {font-family:"Source Code",ui-monospace,monospace; font-size:.9em}
.rr-banner.good {background:var(--rr-good-tint); border-left-color:var(--rr-good)}
.rr-banner.warn {background:var(--rr-warn-tint); border-left-color:var(--rr-warn)}
.rr-banner.bad {background:var(--rr-bad-tint); border-left-color:var(--rr-bad)}
.rr-command {display:inline-block; margin-top:.5rem; background:var(--rr-raised); border:1px solid var(--rr-line);
  border-radius:5px; padding:.3rem .6rem; color:var(--rr-ink)}

.rr-scroll {overflow:auto; max-height:34rem;
  border:1px solid var(--rr-line); border-radius:8px; background:var(--rr-raised)}
.rr-table {border-collapse:collapse; width:100%; font-size:.92rem; margin:0}
.rr-table caption {text-align:left; padding:.55rem .8rem; color:var(--rr-muted); font-size:.85rem; caption-side:top}
.rr-table th, .rr-table td {text-align:left; padding:.38rem .8rem; border:0; border-top:1px solid var(--rr-line);
  vertical-align:top; overflow-wrap:break-word; color:var(--rr-ink)}
.rr-table td.rr-gain {color:var(--rr-gain)} .rr-table td.rr-loss {color:var(--rr-loss)}
.rr-table thead th {font-size:.78rem; color:var(--rr-muted); font-weight:600; white-space:nowrap; position:sticky;
  top:0; background:var(--rr-raised); z-index:1}
.rr-table th[scope=row] {font-weight:400; min-width:6rem}
.rr-table td:not(.n):not(.tight) {min-width:5.5rem}
.rr-table .tight {white-space:nowrap}
.rr-table td.long:not(.n):not(.tight) {min-width:15rem}
.rr-table .n {text-align:right; font-variant-numeric:tabular-nums; white-space:nowrap}
.rr-table tr.total th, .rr-table tr.total td {font-weight:600; border-top:2px solid var(--rr-ink)}
.rr-track {position:relative; height:1.05rem; min-width:7rem; margin-top:.18rem;
  background:linear-gradient(var(--rr-line),var(--rr-line)) var(--zero,0%) 0/1px 100% no-repeat}
.rr-bar {position:absolute; top:.1rem; bottom:.1rem; border-radius:2px; min-width:2px; background:var(--rr-muted)}
.rr-bar.gain {background:var(--rr-gain-mark)}
.rr-bar.loss {background:var(--rr-loss-mark)}
.rr-bar.total {background:var(--rr-ink)}
td.rr-wide, th.rr-wide {width:45%}

.rr dl.rr-stats {display:grid; grid-template-columns:repeat(auto-fit,minmax(9rem,1fr)); gap:.8rem; margin:0 !important;
  padding:0 !important}
.rr-stat {border:1px solid var(--rr-line); border-radius:8px; background:var(--rr-raised); padding:.65rem .9rem}
.rr-stat dt {color:var(--rr-muted); font-size:.8rem; font-weight:400}
.rr .rr-stat dd {margin:.1rem 0 0 !important; font-size:1.3rem; font-weight:600; font-variant-numeric:tabular-nums;
  overflow-wrap:anywhere}
.rr-stat dd small {display:block; font-size:.8rem; font-weight:400; color:var(--rr-muted)}
.rr ul.rr-tiles {display:grid; grid-template-columns:repeat(auto-fill,minmax(min(100%,11.5rem),1fr)); gap:.8rem;
  list-style:none; margin:0; padding:0}
.rr-tile {border:1px solid var(--rr-line); border-radius:8px; background:var(--rr-raised); padding:.7rem .9rem .8rem;
  display:flex; flex-direction:column; gap:.15rem; margin:0 !important; min-width:0; font-size:1rem}
.rr-figure {font-size:1.6rem; font-weight:600; line-height:1.15; font-variant-numeric:tabular-nums}
.rr-tile .rr-pill {align-self:flex-start; white-space:normal}
.rr-pill.info {background:var(--rr-info-tint); color:var(--rr-link)}
.rr-spark {width:100%; height:1.9rem; margin:.25rem 0 .35rem; background:var(--rr-gain-mark);
  mask:var(--course) center/100% 100% no-repeat}
.rr-hop {font-family:"Source Code",ui-monospace,monospace; font-size:.9em}
.rr-pill {border-radius:99px; padding:.1rem .6rem; font-size:.8rem; font-weight:600; white-space:nowrap}
.rr-pill.good {background:var(--rr-good-tint); color:var(--rr-good)}
.rr-pill.warn {background:var(--rr-warn-tint); color:var(--rr-warn)}
.rr-pill.bad {background:var(--rr-bad-tint); color:var(--rr-bad)}
.rr h1.rr-name {font-family:"Source Serif",Georgia,serif; font-size:2rem; font-weight:600; line-height:1.2; margin:0;
  padding:0; overflow-wrap:anywhere}
.rr-film-synopsis {max-width:70ch; margin:.5rem 0 .6rem !important; overflow-wrap:anywhere}
.rr-blocks {position:relative; margin:.8rem}
.rr-wires {position:absolute; inset:0; background:var(--rr-muted); mask:var(--course) 0 0/100% 100% no-repeat}
.rr-block {position:absolute; display:flex; flex-direction:column; align-items:center; justify-content:center;
  text-align:center; border:1.5px solid var(--rr-line); border-radius:6px; background:var(--rr-paper);
  font-size:.74rem; line-height:1.25; padding:.1rem .2rem; overflow-wrap:anywhere}
.rr-block.end, .rr-block.junction {border-radius:50%; border-color:var(--rr-muted); font-size:.68rem}
.rr-block.single {border:2.5px solid var(--rr-accent)}
.rr-block.weak {border-color:var(--rr-loss-mark)}
.rr-tree {font-size:1rem}
.rr .rr-tree ul {list-style:none; margin:0 0 0 .55rem; padding:0 0 0 1rem; border-left:1px solid var(--rr-line)}
.rr .rr-tree > ul {border-left:0; margin-left:0; padding-left:0}
.rr .rr-tree li {position:relative; margin:.55rem 0 0; padding:0}
.rr .rr-tree li li::before {content:""; position:absolute; left:-1rem; top:1.3rem; width:.85rem;
  border-top:1px solid var(--rr-line)}
.rr-node {border:1px solid var(--rr-line); border-left:4px solid var(--rr-muted); border-radius:7px;
  background:var(--rr-raised); padding:.5rem .8rem .55rem; overflow-wrap:anywhere}
.rr-node.good {border-left-color:var(--rr-good)}
.rr-node.warn {border-left-color:var(--rr-warn)}
.rr-node.bad {border-left-color:var(--rr-bad)}
.rr-node.info {border-left-color:var(--rr-accent)}
.rr-feeds {display:flex; flex-wrap:wrap; gap:.1rem 1.1rem; margin-top:.15rem !important}
.rr-node-head {display:flex; justify-content:space-between; gap:.6rem; align-items:baseline; flex-wrap:wrap}
.rr-node-title {font-weight:600}
.rr-node-body {display:flex; flex-wrap:wrap; gap:.2rem .8rem; align-items:baseline}
.rr-node-figure {font-size:1.25rem; font-weight:600; font-variant-numeric:tabular-nums}
.rr-node-body .rr-spark {width:9rem; height:1.3rem; margin:0 0 0 auto; align-self:center}
[data-testid="stTab"][aria-selected="true"] p {color:var(--rr-link); font-weight:600}
@media (max-width:640px) {
  .st-key-request [data-testid="stHorizontalBlock"] {flex-direction:row; flex-wrap:wrap}
  .st-key-request [data-testid="stColumn"] {flex:1 1 40%; min-width:40%}
  .stMainBlockContainer {padding:3.5rem 1rem 3rem}
  td.rr-wide, th.rr-wide {width:auto}
  .rr .rr-tree ul {margin-left:.15rem; padding-left:.6rem}
  .rr .rr-tree li li::before {left:-.6rem; width:.5rem}
  .rr-node-body .rr-spark {width:100%}
  .rr-table th, .rr-table td {padding:.38rem .55rem}
}
"""
