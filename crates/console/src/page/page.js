"use strict";
// Draws /api/v1/state once a second. No library: lines and cells are plain SVG.
const NS = "http://www.w3.org/2000/svg";
const PALETTE = ["#0b6bcb", "#c4621a", "#2e8b57", "#8e44ad", "#b8860b", "#00868b", "#c2185b", "#5d6d7e", "#7cb342", "#d84315"];
const rates = [];
let last = null;

const $ = (id) => document.getElementById(id);
const make = (name, attributes, text) => {
  const node = document.createElementNS(NS, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  return node;
};
const number = (value, digits) => (value === null || value === undefined ? "–" : value < 1e6 ? value.toFixed(digits) : value.toExponential(2));
const whole = (value) => Math.round(value).toLocaleString("en-US");
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function ticks(low, high, count) {
  const step0 = (high - low) / count || 1;
  const magnitude = Math.pow(10, Math.floor(Math.log10(step0)));
  const step = [1, 2, 5, 10].map((m) => m * magnitude).find((s) => s >= step0);
  const list = [];
  for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-9; t += step) list.push(t);
  return list;
}

// series: [{color, points: [[x, y]]}], x in milliseconds; marks: {swaps: [x], alerts: [x]}
function lines(id, series, options) {
  const box = $(id);
  const width = box.clientWidth, height = box.clientHeight, left = 48, bottom = 20, top = 6, right = 8;
  const points = series.flatMap((s) => s.points).filter((p) => p[1] !== null && p[1] !== undefined);
  box.replaceChildren();
  if (points.length < 2) {
    box.append(Object.assign(document.createElement("div"), { className: "empty", textContent: "Nothing to draw yet." }));
    return;
  }
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const x0 = Math.min(...xs), x1 = Math.max(...xs);
  let y0 = options.zero ? 0 : Math.min(...ys), y1 = Math.max(...ys);
  const pad = (y1 - y0) * 0.06 || 0.01;
  if (!options.zero) y0 -= pad;
  y1 += pad;
  const X = (x) => left + ((x - x0) / (x1 - x0 || 1)) * (width - left - right);
  const Y = (y) => height - bottom - ((y - y0) / (y1 - y0)) * (height - bottom - top);
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}` });
  for (const t of ticks(y0, y1, 4)) {
    svg.append(make("line", { class: "grid", x1: left, x2: width - right, y1: Y(t), y2: Y(t) }));
    svg.append(make("text", { x: left - 6, y: Y(t) + 4, "text-anchor": "end" }, options.whole ? whole(t) : +t.toPrecision(4)));
  }
  for (let i = 0; i < 6; i++) {
    const x = x0 + ((x1 - x0) * i) / 5;
    svg.append(make("text", { x: X(x), y: height - 5, "text-anchor": i === 0 ? "start" : i === 5 ? "end" : "middle" }, options.label(x)));
  }
  for (const x of options.swaps || []) if (x >= x0 && x <= x1) svg.append(make("line", { class: "swap", x1: X(x), x2: X(x), y1: top, y2: height - bottom }));
  for (const s of series) {
    let path = "", pen = false;
    for (const [x, y] of s.points) {
      if (y === null || y === undefined) { pen = false; continue; }
      path += `${pen ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`;
      pen = true;
    }
    svg.append(make("path", { class: "series", d: path, stroke: s.color }));
  }
  for (const x of options.alerts || []) if (x >= x0 && x <= x1) svg.append(make("circle", { class: "mark", cx: X(x), cy: height - bottom, r: 3.5 }));
  box.append(svg);
}

function legend(id, entries) {
  $(id).replaceChildren(...entries.map(([name, color]) => {
    const item = document.createElement("span"), swatch = document.createElement("i");
    swatch.style.background = color;
    item.append(swatch, name);
    return item;
  }));
}

// Seven-day mean, weighted by rows: single days are mostly noise.
function smooth(points) {
  return points.map(([x], i) => {
    let sum = 0, weight = 0;
    for (let j = Math.max(0, i - 6); j <= i; j++) if (points[j][1] !== null && points[j][1] !== undefined) { sum += points[j][1] * points[j][2]; weight += points[j][2]; }
    return [x, weight ? sum / weight : null];
  });
}

function table(id, head, rows, empty) {
  const node = $(id);
  node.replaceChildren();
  if (!rows.length) { node.append(Object.assign(document.createElement("caption"), { className: "empty", textContent: empty })); return; }
  const line = (cells, tag) => {
    const tr = document.createElement("tr");
    cells.forEach((cell, i) => {
      const td = document.createElement(tag);
      td.textContent = cell && cell.text !== undefined ? cell.text : cell;
      td.className = (head[i].number ? "number " : "") + ((cell && cell.mark) || "");
      tr.append(td);
    });
    return tr;
  };
  node.append(line(head.map((h) => h.name), "th"), ...rows.map((r) => line(r, "td")));
}

function heat(state) {
  const box = $("drift"), names = Object.keys(state.drift);
  box.replaceChildren();
  if (!names.length) { box.append(Object.assign(document.createElement("div"), { className: "empty", textContent: "No window has been compared yet." })); return; }
  const starts = [...new Set(names.flatMap((n) => state.drift[n].map((p) => p[0])))].sort();
  const left = 190, row = 20, width = box.clientWidth, cell = (width - left - 8) / starts.length, height = names.length * row + 22;
  const place = new Map(starts.map((s, i) => [s, i]));
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, height });
  names.forEach((name, r) => {
    svg.append(make("text", { x: left - 8, y: r * row + 14, "text-anchor": "end" }, name));
    for (const [start, psi, threshold, drifted] of state.drift[name]) {
      // From a hundredth to ten, by orders of magnitude: days differ from a quarter in much.
      const strength = Math.min(1, Math.max(0, (Math.log10(Math.max(psi, 0.01)) + 2) / 3));
      const rect = make("rect", { x: left + place.get(start) * cell, y: r * row + 2, width: Math.max(cell - 0.5, 0.5), height: row - 4, fill: drifted ? css("--alert") : css("--served"), "fill-opacity": 0.08 + 0.92 * strength });
      rect.append(make("title", {}, `${name} ${start.slice(0, 10)}: PSI ${psi.toFixed(3)}, threshold ${threshold.toFixed(3)}`));
      svg.append(rect);
    }
  });
  for (let i = 0; i < starts.length; i += Math.max(1, Math.ceil(starts.length / 8))) svg.append(make("text", { x: left + i * cell, y: height - 4 }, starts[i].slice(0, 10)));
  box.append(svg);
}

function draw(state) {
  $("pipeline").textContent = state.pipeline;
  document.title = `Vigie: ${state.pipeline}`;
  const facts = [
    ["champion", state.champion || "none yet"],
    ["judged until", state.judged_until ? state.judged_until.slice(0, 10) : "–"],
    ["scored", whole(state.score.scored)],
    ["rejected", whole(state.score.rejected)],
    ["joined", whole(state.join.joined)],
    ["pending", whole(state.join.pending)],
    ["expired", whole(state.join.expired)],
  ];
  $("facts").replaceChildren(...facts.map(([name, value]) => {
    const div = document.createElement("div");
    const dt = Object.assign(document.createElement("dt"), { textContent: name });
    const dd = Object.assign(document.createElement("dd"), { textContent: value, id: `fact-${name.replace(/ /g, "-")}` });
    div.append(dt, dd);
    return div;
  }));
  const now = Date.now();
  if (last && now > last.at) rates.push([now, Math.max(0, ((state.score.scored - last.scored) * 1000) / (now - last.at))]);
  last = { at: now, scored: state.score.scored };
  while (rates.length && rates[0][0] < now - 300000) rates.shift();
  const clock = (x) => new Date(x).toTimeString().slice(0, 8), day = (x) => new Date(x).toISOString().slice(0, 10);
  lines("throughput", [{ color: css("--served"), points: rates }], { zero: true, whole: true, label: clock });

  const swaps = [...new Set(state.promotions.map((p) => p.effective_from).filter(Boolean))].map(Date.parse);
  const alerts = state.alerts.filter((a) => a.state === "raised").map((a) => Date.parse(a.window.start));
  const [first, second] = state.shown;
  const note = (shown) => `By day of the event.${shown.better ? ` ${capital(shown.better)} is better.` : ""}`;
  $("first-title").textContent = `${capital(first.title)} of the served predictions beside the frozen first champion`;
  $("first-note").textContent = `${note(first)} Upright lines are swaps; red marks below are alerts.`;
  $("second-title").textContent = capital(second.title);
  $("second-note").textContent = note(second);
  $("versions-title").textContent = `${capital(first.title)} by version`;
  const pick = (name) => [
    smooth(state.windows.map((w) => [Date.parse(w.start), w.metrics[name] ? w.metrics[name][0] : null, w.labelled || w.rows])),
    smooth(state.windows.map((w) => [Date.parse(w.start), (w.baselines.frozen || {})[name], w.labelled || w.rows])),
    smooth(state.windows.map((w) => [Date.parse(w.start), (w.baselines.majority || {})[name], w.labelled || w.rows])),
  ];
  const chart = (id, name) => {
    const [served, frozen, majority] = pick(name);
    const all = [["majority", css("--soft"), majority], ["frozen first champion", css("--frozen"), frozen], ["served (7-day mean)", css("--served"), served]];
    const known = all.filter(([, , points]) => points.some((p) => p[1] !== null));
    legend(`${id}-legend`, known.map(([title, color]) => [title, color]).reverse());
    lines(id, known.map(([, color, points]) => ({ color, points })), { label: day, swaps, alerts });
  };
  chart("first", first.metric);
  chart("second", second.metric);
  const versions = Object.keys(state.versions).sort((a, b) => state.versions[a][0][0].localeCompare(state.versions[b][0][0]));
  legend("versions-legend", versions.slice(-10).map((v, i) => [v, PALETTE[i % PALETTE.length]]));
  lines("versions", versions.slice(-10).map((v, i) => ({ color: PALETTE[i % PALETTE.length], points: smooth(state.versions[v].map((p) => [Date.parse(p[0]), p[1], p[2]]).sort((a, b) => a[0] - b[0])) })), { label: day });
  heat(state);

  const total = state.served ? [{ month: "all", served: state.served, frozen: state.frozen }] : [];
  const known = state.shown.filter((shown) => state.served && shown.metric in state.served);
  const sides = known.flatMap((shown) => ["served", "frozen"].map((who) => [who, shown]));
  table("months", [{ name: "month" }, { name: "rows", number: true }, ...sides.map(([who, shown]) => ({ name: `${who} ${shown.title}`, number: true }))],
    [...state.months, ...total].map((m) => [m.month, whole(m.served.rows), ...sides.map(([who, shown]) => number(m[who][shown.metric], 4))]), "Nothing is final yet.");
  const decided = new Map(state.runs.map((r) => [r.version, r]));
  const decisions = [
    ...state.promotions.map((p) => [p.effective_from || "", `promotion ${p.promotion}`, p.version, p.cause.replace(/_/g, " ")]),
    ...state.runs.filter((r) => r.state !== "promoted").map((r) => [r.cut_off, `run ${r.run}`, r.version || "–", `${r.trigger.replace(/_/g, " ")}: ${r.state}`]),
  ].sort((a, b) => b[0].localeCompare(a[0]));
  table("decisions", [{ name: "from" }, { name: "what" }, { name: "version" }, { name: "why" }], decisions.slice(0, 40).map((d) => [d[0].slice(0, 10), ...d.slice(1)]), "No promotion and no run yet.");
  table("alerts", [{ name: "window" }, { name: "alert" }, { name: "state" }, { name: "value", number: true }, { name: "threshold", number: true }, { name: "columns" }],
    state.alerts.filter((a) => a.state !== "held").slice(0, 40).map((a) => [a.window.start.slice(0, 10), `${a.name.replace("vigie.", "").replace(/_/g, " ")} (${a.tier})`, { text: a.state, mark: a.state === "raised" ? "raised" : "" }, number(a.value, 3), number(a.threshold, 3), a.features.slice(0, 4).join(", ")]), "No alert was raised.");
}

async function turn() {
  try {
    const answer = await fetch("api/v1/state");
    draw(await answer.json());
  } catch (error) {
    $("facts").textContent = `no answer from Vigie: ${error}`;
  }
  setTimeout(turn, 1000);
}
turn();
