"use strict";
// The data of the page, and how a chart of curves with bands is drawn from them.

const DATA = JSON.parse(document.getElementById("data").textContent);

function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
}

const unpacked = new Map();
function numbers(index) {
  if (!unpacked.has(index)) { unpacked.set(index, new Float32Array(bytes(DATA.arrays[index]))); }
  return unpacked.get(index);
}

function variable(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** A colour of the palette as it is in the present (light, dark, printed) scheme. */
function ink(colour) {
  const name = colour.replace("#", "").toUpperCase();
  return variable("--ink-" + name) || colour;
}

/** A colour #rgb or #rrggbb as three numbers to 255. */
function rgb(colour) {
  const hex = colour.replace("#", "");
  const wide = hex.length === 3 ? [...hex].map((c) => c + c).join("") : hex;
  return [0, 2, 4].map((i) => parseInt(wide.slice(i, i + 2), 16));
}

function translucent(colour, alpha) {
  return `rgba(${rgb(colour).join(",")},${alpha})`;
}

function short(value) {
  if (value === null || Number.isNaN(value)) { return "undefined"; }
  if (!Number.isFinite(value)) { return value > 0 ? "inf" : "-inf"; }
  const size = Math.abs(value);
  if (size >= 1e5 || (size > 0 && size < 1e-3)) { return value.toExponential(2); }
  return String(Number(value.toPrecision(4)));
}

/** The closed outlines of a band, one for each stretch that has an interval. */
function outline(x, low, high, usable) {
  const px = [], py = [];
  let start = 0;
  while (start < x.length) {
    if (!usable(start)) { start += 1; continue; }
    let end = start;
    while (end + 1 < x.length && usable(end + 1)) { end += 1; }
    if (end > start) {
      for (let i = start; i <= end; i += 1) { px.push(x[i]); py.push(low[i]); }
      for (let i = end; i >= start; i -= 1) { px.push(x[i]); py.push(high[i]); }
      px.push(null);
      py.push(null);
    }
    start = end + 1;
  }
  return [px, py];
}

/** Whether a chart's y axis is logarithmic: as chosen, or as suits it. */
function isLogarithmic(chart, view) {
  return view.scale === "log" || (view.scale === "auto" && chart.logarithmic);
}

/** The range of a y axis: all means, the real data, and as much of the bands as leaves means clear. */
function extent(curves, floor, logarithmic) {
  const fits = (v) => Number.isFinite(v) && (!logarithmic || v > 0);
  const to = (v) => (logarithmic ? Math.log10(v) : v);
  let low = Infinity, high = -Infinity, least = Infinity, greatest = -Infinity;
  for (const curve of curves) {
    for (let i = 0; i < curve.x.length; i += 1) {
      if (!fits(curve.mean[i])) { continue; }
      low = Math.min(low, to(curve.mean[i]));
      high = Math.max(high, to(curve.mean[i]));
      if (fits(curve.low[i])) { least = Math.min(least, to(curve.low[i])); }
      if (fits(curve.high[i])) { greatest = Math.max(greatest, to(curve.high[i])); }
    }
  }
  if (floor !== null && fits(floor)) {
    low = Math.min(low, to(floor));
    high = Math.max(high, to(floor));
  }
  if (!(high >= low)) { return null; }
  const span = high - low || Math.abs(high) || 1;
  const bottom = Math.max(Math.min(low, least), low - 0.6 * span);
  const top = Math.min(Math.max(high, greatest), high + 0.6 * span);
  const cut = least < bottom || greatest > top;
  const margin = 0.05 * (top - bottom || span);
  return { range: [bottom - margin, top + margin], cut };
}

function curvesOf(section, chart, axis, hidden) {
  const bands = chart.bands[axis] || {};
  return Object.keys(section.looks).filter((label) => label in bands && !hidden.has(label)).map(
    (label) => {
      const [x, mean, low, high, n] = bands[label].map(numbers);
      return { label, look: section.looks[label], x, mean, low, high, n };
    }
  );
}

/** The hover text of each point of a curve. */
function hoverTexts(label, look, mean, low, high, n, unit) {
  const name = `<span style="color:${ink(look.colour)}">${escapeHtml(label)}</span>`;
  return Array.from(mean, (value, i) => {
    const known = Number.isFinite(low[i]) && Number.isFinite(high[i]);
    const interval = known ? ` [${short(low[i])}, ${short(high[i])}]` : "";
    const seeds = `${n[i]} ${n[i] === 1 ? "seed" : "seeds"}`;
    return `${name}: ${short(value)}${interval}${escapeHtml(unit)}, ${seeds}`;
  });
}

/**
 * Groups that were not measured at the same places (seconds) have no common x to hover at: unseen
 * points on a common grid stand for the nearest measurement of each.
 */
function nearest(x, y, texts, grid) {
  const inside = grid.filter((at) => at >= x[0] && at <= x[x.length - 1]);
  let i = 0;
  const indices = inside.map((at) => {
    while (i + 1 < x.length && Math.abs(x[i + 1] - at) <= Math.abs(x[i] - at)) { i += 1; }
    return i;
  });
  return {
    x: inside, y: indices.map((k) => y[k]), mode: "markers", marker: { opacity: 0, size: 1 },
    text: indices.map((k) => `${texts[k]}, at ${short(x[k])}`),
    hovertemplate: "%{text}<extra></extra>"
  };
}

/** Traces and layout of a chart, and the notes below it. */
function drawing(section, chart, view, small) {
  const curves = curvesOf(section, chart, view.axis, view.hidden);
  const logarithmic = isLogarithmic(chart, view);
  const visible = extent(curves, chart.floor, logarithmic);
  const bottom = visible && logarithmic ? 10 ** visible.range[0] : 0;
  const unit = chart.unit ? " " + chart.unit : "";
  const traces = [], notes = [];
  const shared = curves.every(({ x }) => x.length === curves[0].x.length
    && x.every((value, i) => value === curves[0].x[i]));
  const ends = curves.flatMap(({ x }) => [x[0], x[x.length - 1]]);
  const least = Math.min(...ends), reach = Math.max(...ends) - least;
  const grid = Array.from({ length: 161 }, (_, i) => least + (i / 160) * reach);
  let nNotDrawn = 0;
  for (const { label, look, x, mean, low, high } of curves) {
    const floorless = logarithmic ? Array.from(low, (v) => (v > bottom ? v : bottom)) : low;
    const usable = (i) => Number.isFinite(low[i]) && Number.isFinite(high[i])
      && Number.isFinite(mean[i]) && (!logarithmic || high[i] > 0);
    const [px, py] = outline(x, floorless, high, usable);
    if (px.length) {
      traces.push({
        x: px, y: py, mode: "lines", fill: "toself", hoverinfo: "skip",
        line: { width: 0.6, color: translucent(ink(look.colour), 0.45) },
        fillcolor: translucent(ink(look.colour), 0.13), name: escapeHtml(label)
      });
    }
  }
  for (const { label, look, x, mean, low, high, n } of curves) {
    const drawable = (v) => Number.isFinite(v) && (!logarithmic || v > 0);
    nNotDrawn += Array.from(mean).filter((v) => !drawable(v)).length;
    const texts = hoverTexts(label, look, mean, low, high, n, unit);
    const y = Array.from(mean, (v) => (drawable(v) ? v : null));
    if (!shared) { traces.push(nearest(x, y, texts, grid)); }
    traces.push({
      x: Array.from(x), y, name: escapeHtml(label), text: texts,
      mode: x.length <= 20 ? "lines+markers" : "lines", marker: { size: 5 },
      line: { color: ink(look.colour), dash: look.dash, width: small ? 1.5 : 2 },
      ...(shared ? { hovertemplate: "%{text}<extra></extra>" } : { hoverinfo: "skip" })
    });
  }
  if (visible && visible.cut) {
    notes.push("Bands go on beyond the chart; double-click shows all of them.");
  }
  if (nNotDrawn) {
    notes.push(`${nNotDrawn} values ${logarithmic ? "that are not positive" : "that are not finite"} `
      + "are not drawn.");
  }
  if (!curves.length) { notes.push("No group that is shown has this curve along this axis."); }
  return { traces, layout: layoutOf(chart, view, visible, small), notes };
}

function layoutOf(chart, view, visible, small) {
  const text = variable("--text"), quiet = variable("--quiet"), rule = variable("--rule");
  const logarithmic = isLogarithmic(chart, view);
  const axis = {
    gridcolor: rule, zeroline: false, linecolor: rule, tickcolor: rule, automargin: true,
    tickfont: { color: quiet, size: small ? 9 : 12 }, nticks: small ? 5 : 8
  };
  const title = chart.unit ? `${chart.title} (${chart.unit})` : chart.title;
  const size = small ? 10 : 13;
  const floor = chart.floor !== null && (!logarithmic || chart.floor > 0);
  return {
    autosize: !small, width: small, height: small ? 205 : undefined,
    margin: { l: 8, r: 12, t: small ? 26 : 34, b: 8 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
    font: { family: variable("--sans") || "sans-serif", color: text, size },
    title: {
      text: escapeHtml(title), x: 0, xref: "paper", xanchor: "left", y: 0.99, yanchor: "top",
      font: { size: small ? 11 : 14, color: text }
    },
    xaxis: {
      ...axis, title: { text: DATA.axes[view.axis], font: { size, color: quiet }, standoff: 8 },
      showgrid: false, showline: true, ticks: "outside", hoverformat: ",.6~g", rangemode: "normal"
    },
    yaxis: {
      ...axis, type: logarithmic ? "log" : "linear", autorange: !visible,
      range: visible ? visible.range : undefined, exponentformat: "power",
      dtick: logarithmic && visible && visible.range[1] - visible.range[0] > 2 ? 1 : undefined
    },
    hovermode: "x unified", hoverdistance: 40,
    hoverlabel: {
      bgcolor: variable("--paper"), bordercolor: rule, font: { color: text, size: 12 },
      namelength: -1
    },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    shapes: floor ? [{
      type: "line", xref: "paper", x0: 0, x1: 1, y0: chart.floor, y1: chart.floor,
      line: { color: quiet, width: 1.2, dash: "dot" }
    }] : [],
    annotations: floor ? [{
      xref: "paper", x: 0.005, xanchor: "left", yanchor: "bottom", showarrow: false,
      y: logarithmic ? Math.log10(chart.floor) : chart.floor,
      text: `real data ${short(chart.floor)}`, font: { size: small ? 9 : 11, color: quiet }
    }] : []
  };
}

/** Plotly reads a little HTML in texts: a label is none. */
function escapeHtml(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
