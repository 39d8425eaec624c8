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
    this.view = { axis: root.querySelector(".axis").value, scale: "linear", hidden: new Set() };
    this.chapters = [...root.querySelectorAll(".chapter")].map((each) => ({
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
        const chapter = this.chapters.find((each) => each.chart === entry.target);
        chapter.isVisible = true;
        this.drawOne(chapter);
      }
    }, { rootMargin: "600px" });
    for (const chapter of this.chapters) {
      observer.observe(chapter.chart);
      chapter.choice.addEventListener("change", () => this.drawOne(chapter));
    }
  }

  toggle(key) {
    const hidden = this.view.hidden, label = key.dataset.label;
    if (!hidden.delete(label)) { hidden.add(label); }
    key.setAttribute("aria-pressed", String(!hidden.has(label)));
    this.draw();
  }

  draw() {
    for (const chapter of this.chapters.filter((each) => each.isVisible)) { this.drawOne(chapter); }
  }

  drawOne(chapter) {
    const chart = this.section.charts[Number(chapter.choice.value)];
    const { traces, layout, notes } = drawing(this.section, chart, this.view, 0);
    Plotly.react(chapter.chart, traces, layout, CONFIG);
    chapter.chart.setAttribute("aria-label", inWords(this.section, chart, this.view));
    chapter.note.textContent = notes.join(" ");
  }

  /** On paper nothing can be chosen: all curves of a chapter stand side by side. */
  print() {
    for (const chapter of this.chapters) {
      for (const option of chapter.choice.options) {
        const room = chapter.printCharts.appendChild(document.createElement("div"));
        const chart = this.section.charts[Number(option.value)];
        const { traces, layout } = drawing(this.section, chart, this.view, 325);
        Plotly.newPlot(room, traces, layout, { staticPlot: true });
      }
    }
  }

  endPrint() {
    for (const { printCharts } of this.chapters) {
      for (const room of printCharts.children) { Plotly.purge(room); }
      printCharts.replaceChildren();
    }
    this.draw();
  }
}
