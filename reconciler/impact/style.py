"""The one style sheet of an impact's page: light and dark, wide and narrow, on paper."""

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --panel: #f6f7f9; --ink: #1a1f27; --faint: #5b6470; --rule: #d9dde3;
  --more: #b4540a; --less: #1668b5; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171c; --panel: #1d2128; --ink: #e8eaee; --faint: #a3abb7; --rule: #363c46; --more: #f0994b;
    --less: #6cb2f5; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 40px 0 12px; }
h3 { font-size: 15px; font-weight: 600; margin: 20px 0 8px; }
p { margin: 0 0 8px; max-width: 75ch; }
code { font: 0.93em ui-monospace, monospace; overflow-wrap: anywhere; }
.faint { color: var(--faint); }
.more { color: var(--more); }
.less { color: var(--less); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 16px; margin: 24px 0 0;
  align-items: start; }
.card { background: var(--panel); border: 1px solid var(--rule); border-radius: 8px; padding: 16px 20px; }
.card .big { font-size: 28px; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
.card p { margin: 0; }
.card dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 16px; margin: 12px 0 0; }
.sums { margin: 12px 0 0; }
.sums th, .sums td { padding: 2px 0; border: 0; text-align: right; font-variant-numeric: tabular-nums; }
.sums th[scope=row] { text-align: left; font-weight: 400; font-size: 15px; }
.sums tr:last-child > * { border-bottom: 1px solid var(--rule); padding-bottom: 8px; }
dt { color: var(--faint); }
dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; max-width: 820px; overflow: visible; }
svg text { font: 13px system-ui, sans-serif; fill: var(--ink); }
svg .value { text-anchor: end; font-variant-numeric: tabular-nums; }
svg .more { fill: var(--more); }
svg .less { fill: var(--less); }
svg .zero { stroke: var(--faint); stroke-width: 1; }
.key { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 0 0 8px; }
.key span::before { content: ""; display: inline-block; width: 12px; height: 12px; margin-right: 6px;
  border-radius: 2px;
  background: currentColor; vertical-align: -1px; }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-weight: 600; font-size: 13px; color: var(--faint); }
th, td { padding: 7px 12px 7px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.rows th:last-child, .rows td:last-child { padding-left: 12px; }
td .id { display: block; color: var(--faint); font-size: 13px; overflow-wrap: anywhere; }
details { margin: 16px 0 0; }
summary { cursor: pointer; }
li { margin: 0 0 6px; max-width: 80ch; overflow-wrap: anywhere; }
ul { padding-left: 20px; margin: 0; }
@media (max-width: 680px) {
  main { padding: 20px 16px 48px; }
  .rows thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  .rows, .rows tbody, .rows tr, .rows td { display: block; width: 100%; }
  .rows tr { border-bottom: 1px solid var(--rule); padding: 8px 0; }
  .rows td { border: 0; padding: 1px 0; }
  .rows td:last-child { padding-left: 0; }
  .rows td.number { display: flex; justify-content: space-between; gap: 16px; text-align: right; }
  td[data-label]::before { content: attr(data-label); color: var(--faint); font-weight: 400; text-align: left;
    margin-right: 8px; }
  .rows td:empty { display: none; } }
@media print { body { font-size: 12px; } main { max-width: none; padding: 0; } .card { break-inside: avoid; } }
"""
