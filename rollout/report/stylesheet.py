"""The CSS of the report: light, dark, phone and print. Pure."""

from __future__ import annotations

from typing import Final

STYLESHEET: Final = """
:root {
  color-scheme: light dark;
  --paper: #fcfcfb; --ink: #1c1f23; --soft: #5d646e; --faint: #e4e6e9;
  --stable: #2c64b4; --canary: #c05a00; --bad: #b3261e; --good: #1b7a4b; --wait: #7a6100;
  --font: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #15171a; --ink: #e8eaed; --soft: #9aa2ad; --faint: #2b2f35;
    --stable: #7fb0f5; --canary: #f29a4a; --bad: #f2877f; --good: #62c993; --wait: #d9bb4a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 40px 24px 72px; max-width: 1088px; background: var(--paper);
  color: var(--ink); font: 16px/1.5 var(--font); overflow-wrap: break-word;
}
header { border-top: 6px solid var(--tone); padding-top: 20px; margin-bottom: 28px; }
.over { color: var(--soft); font-size: 14px; margin: 0 0 6px; }
h1 { font-size: 34px; line-height: 1.15; letter-spacing: -0.015em; margin: 0 0 12px;
  color: var(--tone); text-wrap: balance; }
.lead { font-size: 19px; line-height: 1.45; margin: 0; max-width: 44em; }
h2 { font-size: 18px; margin: 0 0 2px; letter-spacing: -0.005em; }
.what { margin: 0 0 10px; color: var(--soft); font-size: 14px; max-width: 62em; }
section { margin-top: 40px; }
p { margin: 0 0 10px; max-width: 46em; }
.promoted { --tone: var(--good); } .rolled_back, .failed { --tone: var(--bad); }
.inconclusive { --tone: var(--wait); } .running { --tone: var(--soft); }
.key { display: inline-block; font-weight: 600; }
.one { white-space: nowrap; }
.key.stable { color: var(--stable); } .key.canary { color: var(--canary); }
dl.facts { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1px; margin: 28px 0 0;
  background: var(--faint); border: 1px solid var(--faint); border-radius: 8px; overflow: hidden; }
.facts > div { background: var(--paper); padding: 14px 16px; }
.facts dt { font-size: 13px; color: var(--soft); }
.facts dd { margin: 2px 0 0; font-size: 24px; font-weight: 600; line-height: 1.2;
  font-variant-numeric: tabular-nums; letter-spacing: -0.01em; }
.facts dd small { display: block; font-size: 13px; font-weight: 400; color: var(--soft);
  letter-spacing: 0; margin-top: 3px; }
svg.chart { display: block; width: 100%; height: auto; overflow: visible; }
svg.narrow { display: none; }
svg text { font: 12px var(--font); fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--faint); } svg .tick { stroke: var(--soft); opacity: .5; }
svg .step { stroke: var(--soft); stroke-dasharray: 1 4; opacity: .7; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
svg .line.thin { stroke-width: 1.25; opacity: .75; }
svg .line.stable { stroke: var(--stable); } svg .line.canary { stroke: var(--canary); }
svg .line.desired { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 5 4; }
svg .line.harm, svg .line.breach { stroke: var(--bad); } svg .line.merit { stroke: var(--good); }
svg .line.breach { stroke-dasharray: 2 4; } svg .line.mismatch { stroke: var(--wait); }
svg .level { stroke-width: 1; stroke-dasharray: 6 4; stroke: var(--soft); }
svg .level.harm, svg .level.breach { stroke: var(--bad); } svg .level.merit { stroke: var(--good); }
svg .level.mismatch { stroke: var(--wait); }
svg .decision { stroke: var(--tone); stroke-width: 1.5; }
svg .dot { stroke: var(--paper); stroke-width: 2; fill: var(--soft); }
svg .dot.harm { fill: var(--bad); } svg .dot.merit { fill: var(--good); }
svg .dot.canary { fill: var(--canary); } svg .dot.stable { fill: var(--stable); }
svg text.end { font-weight: 600; } svg text.end.thin { font-weight: 400; }
svg text.stable { fill: var(--stable); } svg text.canary { fill: var(--canary); }
svg text.desired { fill: var(--ink); font-weight: 400; }
svg text.harm, svg text.breach { fill: var(--bad); } svg text.merit { fill: var(--good); }
svg text.mismatch { fill: var(--wait); }
svg text.note { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 15px;
  font-variant-numeric: tabular-nums; }
th, td { white-space: nowrap; }
th { font-size: 13px; font-weight: 500; white-space: normal;
  color: var(--soft); vertical-align: bottom; }
th, td { text-align: right; padding: 7px 0 7px 18px; border-bottom: 1px solid var(--faint); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td small { color: var(--soft); font-size: 13px; }
tr.judged td { font-weight: 600; } tr.judged td small { font-weight: 400; }
.columns { display: grid; grid-template-columns: 1fr 1fr; gap: 0 48px; }
ul, ol { margin: 8px 0 0; padding-left: 20px; } li { margin: 0 0 6px; }
.log { list-style: none; padding: 0; margin-top: 10px; }
.log li { display: grid; grid-template-columns: 64px 120px 1fr; gap: 12px; font-size: 15px;
  margin: 0; padding: 6px 0; border-bottom: 1px solid var(--faint); }
.log time { color: var(--soft); font-variant-numeric: tabular-nums; }
.log b { font-weight: 600; }
footer { margin-top: 48px; color: var(--soft); font-size: 13px; }
@media (max-width: 820px) {
  body { padding: 24px 16px 48px; }
  h1 { font-size: 27px; } .lead { font-size: 17px; }
  dl.facts { grid-template-columns: 1fr 1fr; } .facts dd { font-size: 20px; }
  svg.wide text { font-size: 14px; }
  .columns { grid-template-columns: 1fr; } section { margin-top: 32px; }
  th, td { padding-left: 12px; font-size: 14px; } .long { display: none; }
  td small { display: block; }
  .log li { grid-template-columns: 48px 1fr; gap: 0 12px; } .log li span { grid-column: 2; }
}
@media (max-width: 720px) {
  svg.wide { display: none; } svg.narrow { display: block; max-width: 480px; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --soft: #444; --faint: #ccc; }
  body { padding: 0; max-width: none; font-size: 11pt; }
  section, .facts > div, tr { break-inside: avoid; } section { margin-top: 24px; }
  svg.wide { display: block; } svg.narrow { display: none; }
}
"""
