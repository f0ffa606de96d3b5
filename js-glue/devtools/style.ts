/** How it looks, light and dark. The variables may be set on the element. */

export const STYLE = `
:host {
  --oas-ground: #ffffff;
  --oas-raised: #f3f5f9;
  --oas-ink: #17202e;
  --oas-quiet: #566173;
  --oas-line: #dfe4ec;
  --oas-accent: #2460d8;
  --oas-on-accent: #ffffff;
  --oas-good: #12704a;
  --oas-warn: #8a5200;
  --oas-bad: #b3261e;
  --oas-stored: #2460d8;
  --oas-waited: #c98a1b;
  --oas-acknowledged: #1f9d6b;
  display: block;
  color: var(--oas-ink);
  background: var(--oas-ground);
  font: 14px/1.45 system-ui, sans-serif;
}
:host([hidden]) { display: none; }
@media (prefers-color-scheme: dark) {
  :host {
    --oas-ground: #19212c;
    --oas-raised: #222c3a;
    --oas-ink: #e8edf5;
    --oas-quiet: #a3b0c1;
    --oas-line: #324054;
    --oas-accent: #7aa5ff;
    --oas-on-accent: #0d1420;
    --oas-good: #5fd39a;
    --oas-warn: #f0b35a;
    --oas-bad: #ff8f86;
    --oas-stored: #7aa5ff;
    --oas-waited: #f0b35a;
    --oas-acknowledged: #5fd39a;
  }
}
* { box-sizing: border-box; }
.tabs { display: flex; gap: 2px; overflow-x: auto; border-bottom: 1px solid var(--oas-line); scrollbar-width: thin; }
.tabs button { border: 0; border-radius: 8px 8px 0 0; background: none; white-space: nowrap; color: var(--oas-quiet); padding: 8px 10px; }
.tabs button[aria-selected="true"] { color: var(--oas-ink); box-shadow: inset 0 -2px var(--oas-accent); font-weight: 600; }
.count { margin-left: 6px; padding: 0 6px; border-radius: 99px; background: var(--oas-raised); font-size: 12px; font-weight: 400; }
.panel { padding: 12px 2px; }
:focus-visible { outline: 2px solid var(--oas-accent); outline-offset: 1px; border-radius: 6px; }
.line { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 12px; margin: 0 0 10px; }
.line > :last-child:not(:first-child) { margin-left: auto; }
p { margin: 0 0 10px; }
h3 { margin: 14px 0 4px; font-size: 14px; }
h3:first-child { margin-top: 0; }
.quiet, .line .quiet { color: var(--oas-quiet); margin: 0 0 8px; font-size: 13px; }
.line .quiet { margin: 0; }
.empty { color: var(--oas-quiet); padding: 18px 12px; text-align: center; border: 1px dashed var(--oas-line); border-radius: 10px; }
.outcome { min-height: 1.5em; margin: 8px 0 0; font-size: 13px; }
.badge { padding: 1px 8px; border: 1px solid currentColor; border-radius: 99px; color: var(--oas-quiet); font-size: 12px; white-space: nowrap; }
.good { color: var(--oas-good); }
.warn { color: var(--oas-warn); }
.bad { color: var(--oas-bad); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(92px, 1fr)); gap: 8px; margin: 0 0 12px; }
.figures div { background: var(--oas-raised); border-radius: 10px; padding: 6px 10px; }
dt { color: var(--oas-quiet); font-size: 12px; }
dd { margin: 0; overflow-wrap: anywhere; }
.figures dd { font-size: 17px; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; max-height: 320px; overflow-y: auto; margin: 0 0 10px; }
table { width: 100%; border-collapse: collapse; font-size: 13px; }
caption { text-align: left; color: var(--oas-quiet); padding-bottom: 4px; }
th { text-align: left; font-weight: 600; color: var(--oas-quiet); white-space: nowrap; }
th, td { padding: 4px 10px 4px 0; border-bottom: 1px solid var(--oas-line); font-variant-numeric: tabular-nums; vertical-align: middle; }
td { max-width: 260px; overflow-wrap: break-word; }
td:first-child, td .badge { white-space: nowrap; }
.panel > div > button { margin-bottom: 12px; }
tr.gone td { color: var(--oas-quiet); text-decoration: line-through; }
.lanes { display: flex; flex-wrap: wrap; gap: 6px; }
.lane { padding: 0 7px; border-radius: 6px; background: var(--oas-raised); font-size: 12px; white-space: nowrap; }
.lane.critical { color: var(--oas-bad); }
.lane.high { color: var(--oas-warn); }
button { font: inherit; padding: 5px 11px; border-radius: 8px; border: 1px solid var(--oas-line); background: var(--oas-ground); color: var(--oas-ink); cursor: pointer; }
button:hover:not(:disabled) { border-color: var(--oas-accent); }
button:disabled { cursor: default; opacity: 0.6; }
button.strong { background: var(--oas-accent); border-color: var(--oas-accent); color: var(--oas-on-accent); }
button.danger { color: var(--oas-bad); }
.buttons { display: flex; flex-wrap: wrap; gap: 8px; }
.cards { list-style: none; margin: 0; padding: 0; display: grid; gap: 10px; }
.card { border: 1px solid var(--oas-line); border-radius: 10px; padding: 10px 12px; }
.card .line { margin: 0 0 4px; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(88px, 1fr)); gap: 8px; margin: 0 0 8px; }
.side { background: var(--oas-raised); border-radius: 8px; padding: 6px 8px; border: 1px solid transparent; }
.side.shown { border-color: var(--oas-accent); }
.side button { width: 100%; margin-top: 6px; padding: 3px 6px; }
pre, textarea { font: 12px/1.5 ui-monospace, monospace; background: var(--oas-raised); color: var(--oas-ink); border: 1px solid var(--oas-line); border-radius: 8px; padding: 8px; margin: 0 0 8px; width: 100%; overflow: auto; max-height: 160px; }
.slider { display: block; color: var(--oas-quiet); margin: 0 0 10px; }
.slider input { display: block; width: 100%; accent-color: var(--oas-accent); }
.bar { display: block; width: 100%; min-width: 120px; height: 12px; }
rect.stored, .key.stored::before { fill: var(--oas-stored); background: var(--oas-stored); }
rect.waited, .key.waited::before { fill: var(--oas-waited); background: var(--oas-waited); }
rect.acknowledged, .key.acknowledged::before { fill: var(--oas-acknowledged); background: var(--oas-acknowledged); }
.key::before { content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 3px; margin-right: 6px; }
`;
