"use strict";
// Brings the page to life: curves, films, the change between light, dark and paper.

document.documentElement.classList.add("scripted");

const films = [], curves = [];
for (const section of document.querySelectorAll(".problem")) {
  const data = DATA.sections[Number(section.dataset.section)];
  const film = section.querySelector(".film"), room = section.querySelector(".curves");
  if (film) { films.push(new Film(film, data.film || data.pictures)); }
  if (room) { curves.push(new Curves(room, data)); }
}

function repaint() {
  for (const film of films) { film.redraw(); }
  for (const each of curves) { each.draw(); }
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

// On paper: everything open, light, all curves. The style sheet does the rest.
let closed = [];
function toPaper() {
  if (document.documentElement.classList.contains("paper")) { return; }
  document.documentElement.classList.add("paper");
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const each of closed) { each.open = true; }
  for (const film of films) { film.stop(); film.redraw(); }
  for (const each of curves) { each.print(); }
}
function fromPaper() {
  document.documentElement.classList.remove("paper");
  for (const each of closed) { each.open = false; }
  for (const each of curves) { each.printed(); }
  for (const film of films) { film.redraw(); }
}
addEventListener("beforeprint", toPaper);
addEventListener("afterprint", fromPaper);
