"use strict";
// Films: players of several groups on one clock. Landscapes are drawn, pictures are shown.

class Film {
  constructor(root, media) {
    this.steps = media.steps;
    this.root = root;
    this.players = [...root.querySelectorAll(".player")].map((element) => {
      const group = media.groups[Number(element.dataset.player)];
      const canvas = element.querySelector("canvas"), picture = element.querySelector("img");
      const screen = canvas ? new Screen(canvas, media, group) : null;
      if (screen) { element.classList.toggle("flat", screen.flat); }
      if (picture) { group.frames[group.frames.length - 1].image = picture.src; }
      return { element, group, screen, picture, reading: element.querySelector(".reading") };
    });
    for (const name of ["play", "scrub", "clock", "speed"]) {
      this[name + "Control"] = root.querySelector("." + name);
    }
    this.timer = null;
    this.playControl.addEventListener("click", () => this.toggle());
    this.scrubControl.addEventListener("input", () => {
      this.stop();
      this.show(Number(this.scrubControl.value));
    });
    this.speedControl.addEventListener("change", () => {
      if (this.timer !== null) { this.stop(); this.start(); }
    });
    root.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.redraw()).observe(root.querySelector(".players"));
    this.show(this.steps.length - 1);
  }

  key(event) {
    const on = event.target, last = this.steps.length - 1;
    if (on === this.speedControl || event.ctrlKey || event.metaKey || event.altKey) { return; }
    const to = {
      ArrowLeft: this.at - 1, ArrowRight: this.at + 1, Home: 0, End: last
    }[event.key];
    if (event.key === " " && on !== this.playControl) {
      event.preventDefault();
      this.toggle();
    } else if (to !== undefined && on !== this.scrubControl) {
      event.preventDefault();
      this.stop();
      this.show(Math.min(last, Math.max(0, to)));
    }
  }

  toggle() { if (this.timer === null) { this.start(); } else { this.stop(); } }

  start() {
    if (this.at >= this.steps.length - 1) { this.show(0); }
    // At speed 1 a film of any length takes some ten seconds, pictures half a second each.
    const each = this.players[0].screen ? Math.max(80, 9000 / this.steps.length) : 500;
    this.timer = setInterval(() => {
      if (this.at >= this.steps.length - 1) { this.stop(); } else { this.show(this.at + 1); }
    }, each / Number(this.speedControl.value));
    this.name("Pause", "\u23F8");
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.name("Play", "\u25B6");
  }

  name(word, sign) {
    this.playControl.querySelector(".word").textContent = word;
    this.playControl.querySelector("[aria-hidden]").textContent = sign + "\uFE0E";
    this.playControl.setAttribute("aria-label", word);
  }

  show(at) {
    this.at = at;
    const step = this.steps[at];
    this.scrubControl.value = at;
    this.scrubControl.setAttribute("aria-valuetext", `step ${step}`);
    this.clockControl.textContent = `step ${step}`;
    this.redraw();
  }

  redraw() {
    const step = this.steps[this.at], colours = ramp();
    const bar = this.root.querySelector(".ramp");
    if (bar) {
      const some = [0, 64, 127, 190, 254].map((i) => `rgb(${colours[i].join(",")})`);
      bar.style.background = `linear-gradient(to right, ${some.join(",")})`;
    }
    for (const player of this.players) {
      const frames = player.group.frames;
      const frame = frames.findLast((each) => each.step <= step) || frames[0];
      if (player.screen) {
        player.screen.draw(frame, colours);
      } else {
        player.picture.src = frame.image;
      }
      this.read(player, frame, step);
    }
  }

  /** Below each player: its own step, and what the colours and arrows stand for. */
  read({ group, screen, picture, reading }, frame, step) {
    const lines = [`<b>step ${frame.step}</b>`];
    if (frame.step !== step) {
      const which = frame.step < step ? "its last before" : "its first after";
      lines[0] += ` <span class="late">${which} ${step}</span>`;
    }
    if (screen) {
      const [low, high] = frame.range;
      lines[0] += low === null ? "; logit not finite" : `; logit ${short(low)} to ${short(high)}`;
      lines.push(`slope at samples ${short(frame.slope)} (longest arrow ${short(group.slope)})`);
      if (frame.outside) {
        const all = arraysOf(screen.film, frame).fake.length / frame.window.length;
        lines.push(`${frame.outside} of ${all} samples outside the window`);
      }
    }
    reading.innerHTML = lines.join("<br>");
    const what = `${screen ? "Landscape" : "Samples"} of ${group.label}, step ${frame.step}`;
    if (screen) { screen.canvas.setAttribute("aria-label", what); } else { picture.alt = what; }
  }
}
