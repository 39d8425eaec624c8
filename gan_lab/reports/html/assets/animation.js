"use strict";
// Animations of several groups on one clock. Landscapes are drawn, pictures are shown.

class GroupAnimation {
  constructor(root, media) {
    this.steps = media.steps;
    this.root = root;
    this.players = [...root.querySelectorAll(".player")].map((element) => {
      const group = media.groups[Number(element.dataset.player)];
      const canvas = element.querySelector("canvas"), picture = element.querySelector("img");
      const landscape = canvas ? new LandscapeCanvas(canvas, media, group) : null;
      if (landscape) { element.classList.toggle("flat", landscape.flat); }
      if (picture) { this.takeLast(group); }
      return { element, group, landscape, picture, caption: element.querySelector(".caption") };
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

  /** The last picture of a group is in the page's first screen, and only there. */
  takeLast(group) {
    const rooms = [...this.root.closest(".problem").querySelectorAll(".sample")];
    const room = rooms.find((each) => each.dataset.group === group.label);
    group.snapshots[group.snapshots.length - 1].image = room.querySelector("img").src;
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
    // At speed 1 landscapes of any number take some ten seconds, pictures half a second each.
    const each = this.players[0].landscape ? Math.max(80, 9000 / this.steps.length) : 500;
    this.timer = setInterval(() => {
      if (this.at >= this.steps.length - 1) { this.stop(); } else { this.show(this.at + 1); }
    }, each / Number(this.speedControl.value));
    this.name("Pause", "\u2016");
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
      const snapshots = player.group.snapshots;
      const snapshot = snapshots.findLast((each) => each.step <= step) || snapshots[0];
      if (player.landscape) {
        player.landscape.draw(snapshot, colours);
      } else {
        player.picture.src = snapshot.image;
      }
      this.writeCaption(player, snapshot, step);
    }
  }

  /** Below each player: its own step, and what the colours and arrows stand for. */
  writeCaption({ group, landscape, picture, caption }, snapshot, step) {
    const lines = [`<b>step ${snapshot.step}</b>`];
    if (snapshot.step !== step) {
      const which = snapshot.step < step ? "its last before" : "its first after";
      lines[0] += ` <span class="late">${which} ${step}</span>`;
    }
    if (landscape) {
      const [low, high] = snapshot.range;
      lines[0] += low === null ? "; logit not finite" : `; logit ${short(low)} to ${short(high)}`;
      const norm = short(snapshot.gradient_norm), longest = short(group.gradient_norm);
      lines.push(`gradient norm at samples ${norm} (longest arrow ${longest})`);
      if (snapshot.outside) {
        const { fake } = arraysOf(landscape.media, snapshot);
        const all = fake.length / snapshot.window.length;
        lines.push(`${snapshot.outside} of ${all} samples outside the window`);
      }
    }
    caption.innerHTML = lines.join("<br>");
    const what = `${landscape ? "Landscape" : "Samples"} of ${group.label}, step ${snapshot.step}`;
    if (landscape) {
      landscape.canvas.setAttribute("aria-label", what);
    } else {
      picture.alt = what;
    }
  }
}
