"use strict";
// Starts curves and animations; redraws them for light, dark and paper.

document.documentElement.classList.add("scripted");

const animations = [], curves = [];
for (const section of document.querySelectorAll(".problem")) {
  const data = DATA.sections[Number(section.dataset.section)];
  const root = section.querySelector(".animation"), bar = section.querySelector(".toolbar");
  if (root) { animations.push(new GroupAnimation(root, data.landscapes || data.pictures)); }
  if (bar) { curves.push(new Curves(bar.parentElement, data)); }
}

function repaint() {
  for (const each of animations) { each.redraw(); }
  for (const each of curves) { each.draw(); }
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

// On paper: everything open, light, all curves. The style sheet does the rest.
let folded = [];
function toPaper() {
  if (document.documentElement.classList.contains("paper")) { return; }
  document.documentElement.classList.add("paper");
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const each of folded) { each.open = true; }
  for (const each of animations) { each.stop(); each.redraw(); }
  for (const each of curves) { each.print(); }
}
function fromPaper() {
  document.documentElement.classList.remove("paper");
  for (const each of folded) { each.open = false; }
  for (const each of curves) { each.endPrint(); }
  for (const each of animations) { each.redraw(); }
}
addEventListener("beforeprint", toPaper);
addEventListener("afterprint", fromPaper);
