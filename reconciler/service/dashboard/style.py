"""The one style sheet of the dashboard: light and dark, wide and narrow, on paper; and the policy that allows it."""

import base64
import hashlib

STYLE = """
:root { color-scheme: light dark; --ground: #f5f6f8; --panel: #fff; --ink: #171b22; --faint: #59636f; --rule: #dde1e7;
  --strong: #8a93a0; --accent: #1558b0; --on-accent: #fff; --track: #e7eaef; --good: #17703a; --bad: #b3261e;
  --warn: #8f5200; --c1: #2463b8; --c2: #c2601a; --c3: #2f8060; --c4: #8a4fb3; --c5: #a8324f; --c6: #6b7280; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #101317; --panel: #181c22; --ink: #e9ebef; --faint: #a4adb9; --rule: #2d333c; --strong: #7b8592;
    --accent: #82b4f5; --on-accent: #0b1522; --track: #2a3039; --good: #6fce93; --bad: #ff8f85; --warn: #eab36b;
    --c1: #6ea8ee; --c2: #ee9a5c; --c3: #62bd94; --c4: #c194e4; --c5: #ee8aa2; --c6: #98a1ad; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: 2px; }
a:hover { text-decoration-thickness: 2px; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
.skip { position: absolute; left: 12px; top: -60px; background: var(--panel); padding: 8px 14px; z-index: 2; }
.skip:focus { top: 8px; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.top { background: var(--panel); border-bottom: 1px solid var(--rule); }
.top > div { max-width: 1240px; margin: 0 auto; padding: 0 24px; display: flex; flex-wrap: wrap; align-items: center;
  gap: 0 28px; min-height: 56px; }
.brand { font-weight: 650; color: var(--ink); text-decoration: none; letter-spacing: -0.01em; padding: 14px 0; }
.top nav { flex: 1; }
.top nav ul { display: flex; flex-wrap: wrap; gap: 0 4px; list-style: none; margin: 0; padding: 0; }
.top nav a { display: block; padding: 16px 10px 13px; color: var(--faint); text-decoration: none;
  border-bottom: 3px solid transparent; }
.top nav a:hover { color: var(--ink); }
.top nav a[aria-current] { color: var(--ink); border-color: var(--accent); font-weight: 550; }
.top form { margin: 0; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 24px 56px; }
footer { max-width: 1240px; margin: 0 auto; padding: 0 24px 40px; color: var(--faint); font-size: 13px; }
h1 { font-size: 25px; line-height: 1.25; margin: 0 0 4px; letter-spacing: -0.015em; overflow-wrap: anywhere; }
h2 { font-size: 17px; line-height: 1.3; margin: 0 0 12px; }
h3 { font-size: 14px; margin: 0 0 8px; }
p { margin: 0 0 8px; max-width: 78ch; }
code { font: 0.92em ui-monospace, monospace; overflow-wrap: anywhere; }
.faint { color: var(--faint); }
.small { font-size: 13px; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.warn { color: var(--warn); }
.lead { color: var(--faint); margin-bottom: 20px; }
.panel { background: var(--panel); border: 1px solid var(--rule); border-radius: 10px; padding: 18px 20px;
  margin: 0 0 20px;
  min-width: 0; }
.two { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 0 20px; align-items: start; }
.even { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 14px; margin: 0 0 20px;
  padding: 0;
  list-style: none; }
.card { background: var(--panel); border: 1px solid var(--rule); border-radius: 10px; padding: 14px 16px;
  min-width: 0; }
.card h2 { font-size: 13px; font-weight: 500; color: var(--faint); margin: 0 0 2px; }
.card .value { color: var(--ink); font-size: 22px; line-height: 1.25; font-weight: 620; margin: 0;
  letter-spacing: -0.02em;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.card .value small { font-size: 14px; font-weight: 500; color: var(--faint); letter-spacing: 0; }
.card .value.none { font-size: 15px; font-weight: 500; color: var(--faint); padding: 6px 0 3px; letter-spacing: 0; }
.card p { font-size: 13px; margin: 2px 0 0; color: var(--faint); }
.scroll { overflow-x: auto; margin: 0 -20px; padding: 0 20px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 650; font-size: 17px; padding: 0 0 10px; }
caption.hidden { padding: 0; }
th, td { text-align: left; padding: 9px 20px 9px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
tr > :last-child { padding-right: 0; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { font-size: 13px; font-weight: 550; color: var(--faint); white-space: nowrap; vertical-align: bottom;
  padding-top: 0; }
tbody th { font-weight: 500; overflow-wrap: anywhere; min-width: 9em; }
thead th a { color: inherit; }
th[aria-sort] a { color: var(--ink); font-weight: 650; }
.number { text-align: right; white-space: nowrap; }
.words { overflow-wrap: anywhere; min-width: 11em; }
td .id, th .id { display: block; font-size: 13px; color: var(--faint); font-weight: 400; overflow-wrap: anywhere; }
.name { overflow-wrap: anywhere; }
.tag { display: inline-block; border: 1px solid var(--rule); border-radius: 99px; padding: 0 9px; font-size: 13px;
  line-height: 21px; white-space: nowrap; color: var(--faint); }
.tag.good, .tag.bad, .tag.warn { border-color: currentColor; }
.tag.good { color: var(--good); } .tag.bad { color: var(--bad); } .tag.warn { color: var(--warn); }
.bar { display: block; width: 100%; min-width: 110px; height: 8px; margin: 5px 0 3px; border-radius: 4px;
  overflow: hidden; }
.bar .track { fill: var(--track); }
.bar .fill { fill: var(--c1); } .bar .near { fill: var(--warn); } .bar .over { fill: var(--bad); }
figure { margin: 0; }
.chart { display: flex; gap: 8px; }
.chart .axis { flex: none; width: 64px; }
.chart .plot { flex: 1; min-width: 0; overflow: visible; }
.chart text { fill: var(--faint); font-size: 12px; }
.chart .grid { stroke: var(--rule); stroke-width: 1; }
.chart .base { stroke: var(--strong); stroke-width: 1; }
.s1 { fill: var(--c1); } .s2 { fill: var(--c2); } .s3 { fill: var(--c3); } .s4 { fill: var(--c4); }
.s5 { fill: var(--c5); }
.s6 { fill: var(--c6); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 8px 0 0; padding: 0;
  font-size: 13px;
  color: var(--faint); }
.legend svg { width: 10px; height: 10px; margin-right: 6px; }
.legend.apart { margin: 0 0 16px; font-size: 15px; color: inherit; }
.legend li { overflow-wrap: anywhere; min-width: 0; }
details { margin: 10px 0 0; }
summary { cursor: pointer; color: var(--accent); font-size: 13px; width: fit-content; }
details > .scroll { margin-top: 8px; }
dl.facts { display: grid; grid-template-columns: minmax(7em, max-content) minmax(0, 1fr); gap: 6px 18px; margin: 0; }
dl.facts dt { color: var(--faint); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
form.row { display: flex; flex-wrap: wrap; gap: 10px 12px; align-items: end; margin: 0 0 16px; }
.field { display: block; min-width: 0; }
.field > span { display: block; font-size: 13px; color: var(--faint); margin: 0 0 3px; }
input, select, textarea { font: inherit; color: var(--ink); background: var(--panel); border: 1px solid var(--strong);
  border-radius: 6px; padding: 7px 10px; width: 100%; max-width: 100%; }
input[type=search] { min-width: 16em; }
button { font: inherit; font-weight: 550; color: var(--on-accent); background: var(--accent);
  border: 1px solid var(--accent);
  border-radius: 6px; padding: 7px 16px; cursor: pointer; }
button.quiet { color: var(--accent); background: transparent; border-color: var(--strong); padding: 3px 12px; }
form.stack { display: grid; gap: 10px; max-width: 26em; margin: 0; }
form.stack button { justify-self: start; }
.notice { border-left: 4px solid var(--accent); background: var(--panel); padding: 12px 16px; margin: 0 0 20px;
  border-radius: 0 8px 8px 0; }
.notice.bad { border-color: var(--bad); color: inherit; } .notice.good { border-color: var(--good); color: inherit; }
.pages { display: flex; justify-content: space-between; gap: 12px; margin: 14px 0 0; }
.state { display: flex; gap: 10px; align-items: baseline; }
.dot { flex: none; width: 10px; height: 10px; }
ul.bare { list-style: none; margin: 0; padding: 0; }
ul.plain { list-style: none; margin: 0; padding: 0; }
ul.plain > li { padding: 7px 0; border-bottom: 1px solid var(--rule); }
ul.plain > li:last-child { border: 0; }
form + p { margin-top: 12px; }
.signin { max-width: 26em; margin: 10vh auto 0; }
tr:target { background: color-mix(in srgb, var(--accent) 14%, transparent); }
@media (max-width: 900px) { .two { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 640px) {
  main { padding: 20px 14px 40px; }
  .top > div, footer { padding-left: 14px; padding-right: 14px; }
  .top > div { gap: 0 16px; }
  .top nav { order: 3; flex-basis: 100%; margin: 0 -10px; }
  .top nav a { padding: 6px 10px 7px; }
  .brand { padding: 10px 0 4px; flex: 1; }
  .panel { padding: 14px; }
  .scroll { margin: 0 -14px; padding: 0 14px; }
  .cards { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; }
  .card { padding: 11px 12px; }
  .card .value { font-size: 20px; }
  .chart .axis { width: 52px; }
  .chart .minor { display: none; }
  .wide { display: none; }
  tbody th { min-width: 5.5em; }
  th, td { padding-right: 12px; }
  input[type=search] { min-width: 0; }
  form.row .field { flex: 1 1 40%; }
}
@media print { body { background: #fff; } .top nav, form, .skip { display: none; } .panel { break-inside: avoid; } }
@media (prefers-contrast: more) { :root { --rule: var(--strong); --faint: var(--ink); } }
@media (forced-colors: active) { .bar .track { fill: Canvas; } .bar .fill { fill: CanvasText; } }
"""


def _policy() -> str:
    """Return the policy of every page: this style, forms to this place, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


POLICY = _policy()
