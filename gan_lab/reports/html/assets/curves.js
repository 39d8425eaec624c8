"use strict";
// The charts of a section: one x axis, one scale and one legend for all of them.

function inWords(section, chart, view) {
  const ends = curvesOf(section, chart, view.axis, view.hidden).map(
    ({ label, mean }) => `${label} ends at ${short(mean[mean.length - 1])}`
  );
  return `${chart.title} along ${DATA.axes[view.axis]}. ${ends.join("; ")}.`;
}

// A double click goes back to the first view, and from there to all of the bands.
const CONFIG = { displayModeBar: false, responsive: true, doubleClick: "reset+autosize" };

class Curves {
  constructor(root, section) {
    this.section = section;
    this.root = root;
    const [axis, scale] = [".axis", ".scale"].map((name) => root.querySelector(name).value);
    this.view = { axis, scale, hidden: new Set() };
    this.plots = [...root.querySelectorAll(".plot")].map((each) => ({
      chart: each.querySelector(".chart"), choice: each.querySelector(".curve"),
      note: each.querySelector(".chart-note"), printCharts: each.querySelector(".print-charts"),
      isVisible: false
    }));
    root.querySelector(".axis").addEventListener("change", (event) => {
      this.view.axis = event.target.value;
      this.draw();
    });
    root.querySelector(".scale").addEventListener("change", (event) => {
      this.view.scale = event.target.value;
      this.draw();
    });
    for (const key of root.querySelectorAll(".key")) {
      key.addEventListener("click", () => this.toggle(key));
    }
    // A chart is made when it comes near the window: a page of many sections opens at once.
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries.filter((e) => e.isIntersecting)) {
        observer.unobserve(entry.target);
        const plot = this.plots.find((each) => each.chart === entry.target);
        plot.isVisible = true;
        this.drawOne(plot);
      }
    }, { rootMargin: "600px" });
    for (const plot of this.plots) {
      observer.observe(plot.chart);
      plot.choice.addEventListener("change", () => this.drawOne(plot));
    }
  }

  toggle(key) {
    const hidden = this.view.hidden, label = key.dataset.label;
    if (!hidden.delete(label)) { hidden.add(label); }
    key.setAttribute("aria-pressed", String(!hidden.has(label)));
    this.draw();
  }

  draw() {
    for (const plot of this.plots.filter((each) => each.isVisible)) { this.drawOne(plot); }
  }

  drawOne(plot) {
    const chart = this.section.charts[Number(plot.choice.value)];
    const { traces, layout, notes } = drawing(this.section, chart, this.view, 0);
    Plotly.react(plot.chart, traces, layout, CONFIG);
    plot.chart.setAttribute("aria-label", inWords(this.section, chart, this.view));
    plot.note.textContent = notes.join(" ");
  }

  /** On paper nothing can be chosen: all curves of a plot stand side by side. */
  print() {
    for (const plot of this.plots) {
      for (const option of plot.choice.options) {
        const room = plot.printCharts.appendChild(document.createElement("div"));
        const chart = this.section.charts[Number(option.value)];
        const { traces, layout } = drawing(this.section, chart, this.view, 325);
        Plotly.newPlot(room, traces, layout, { staticPlot: true });
      }
    }
  }

  endPrint() {
    for (const { printCharts } of this.plots) {
      for (const room of printCharts.children) { Plotly.purge(room); }
      printCharts.replaceChildren();
    }
    this.draw();
  }
}
