"use strict";
// A landscape: a map for two dimensions, curves for one.

const CIVIDIS = [[0, 34, 78], [24, 55, 112], [62, 77, 108], [93, 99, 110], [125, 124, 120],
  [155, 148, 119], [190, 174, 110], [224, 203, 90], [254, 232, 56]];
const OUTSIDE = 65535, NO_NUMBER = 255, LEVELS = 254, CONTOURS = 7, ARROW = 0.075;

/** Cividis, pulled towards the paper so that points stand out: 255 colours from low to high. */
function ramp() {
  const dark = isDark(), paper = rgb(variable("--paper")), mix = dark ? 0.36 : 0.42;
  // In the dark not up to the brightest yellow: light points must stand out there too.
  const brightest = (CIVIDIS.length - 1) * (dark ? 0.8 : 1);
  return Array.from({ length: LEVELS + 1 }, (_, i) => {
    const at = (i / LEVELS) * brightest, k = Math.min(Math.floor(at), CIVIDIS.length - 2);
    return [0, 1, 2].map((c) => {
      const own = CIVIDIS[k][c] + (at - k) * (CIVIDIS[k + 1][c] - CIVIDIS[k][c]);
      return Math.round(paper[c] * mix + own * (1 - mix));
    });
  });
}

function isDark() {
  const [r, g, b] = rgb(variable("--paper"));
  return r + g + b < 384;
}

/** The arrays of a snapshot, unpacked once. */
function arraysOf(media, snapshot) {
  if (!snapshot.arrays) {
    snapshot.arrays = {
      logit: new Uint8Array(bytes(snapshot.logit)),
      real: new Uint16Array(bytes(media.real[snapshot.real])),
      fake: new Uint16Array(bytes(snapshot.fake)), arrow: new Int8Array(bytes(snapshot.arrow))
    };
  }
  return snapshot.arrays;
}

class LandscapeCanvas {
  constructor(canvas, media, group) {
    Object.assign(this, { canvas, media, group });
    this.flat = group.snapshots[0].window.length === 1;
    this.small = document.createElement("canvas");
  }

  draw(snapshot, colours) {
    const scale = Math.min(3, Math.max(2, devicePixelRatio || 1));
    this.width = Math.max(120, this.canvas.clientWidth || 320);
    this.height = this.flat ? Math.round(this.width * 0.75) : this.width;
    this.canvas.width = this.width * scale;
    this.canvas.height = this.height * scale;
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    const arrays = arraysOf(this.media, snapshot);
    if (this.flat) {
      this.line(pen, arrays);
    } else {
      this.map(pen, snapshot.shape, arrays, colours);
    }
  }

  map(pen, [rows, columns], { logit, real, fake, arrow }, colours) {
    const { width, height } = this;
    Object.assign(this.small, { width: columns, height: rows });
    const inner = this.small.getContext("2d"), image = inner.createImageData(columns, rows);
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        // The first row is the lowest y, a picture begins at the top.
        const level = logit[(rows - 1 - row) * columns + column], at = 4 * (row * columns + column);
        const colour = level === NO_NUMBER ? null : colours[level];
        image.data.set(colour ? [...colour, 255] : [0, 0, 0, 0], at);
      }
    }
    inner.putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    // The outermost values lie on the window's edge, not half a cell inside.
    const cell = [width / (columns - 1), height / (rows - 1)];
    pen.drawImage(this.small, -cell[0] / 2, -cell[1] / 2, width + cell[0], height + cell[1]);
    this.contours(pen, logit, rows, columns, cell);
    const place = (points, i) => [
      (points[2 * i] / (OUTSIDE - 1)) * width, (1 - points[2 * i + 1] / (OUTSIDE - 1)) * height
    ];
    const inside = (points, i) => points[2 * i] !== OUTSIDE && points[2 * i + 1] !== OUTSIDE;
    const dots = (points, radius) => {
      pen.beginPath();
      for (let i = 0; 2 * i < points.length; i += 1) {
        if (!inside(points, i)) { continue; }
        const [x, y] = place(points, i);
        pen.moveTo(x + radius, y);
        pen.arc(x, y, radius, 0, 7);
      }
    };
    pen.strokeStyle = translucent(variable("--text"), 0.55);
    pen.lineWidth = 1;
    pen.beginPath();
    for (let i = 0; 2 * i < arrow.length; i += 1) {
      if (inside(fake, i)) { this.arrow(pen, place(fake, i), arrow[2 * i], arrow[2 * i + 1]); }
    }
    pen.stroke();
    pen.strokeStyle = translucent(variable("--paper"), 0.8);
    pen.lineWidth = 0.8;
    pen.fillStyle = ink("#D55E00");
    dots(fake, this.width < 220 ? 1.6 : 2.4);
    pen.stroke();
    pen.fill();
    // Data last and small: where samples cover a mode, both are seen.
    pen.fillStyle = ink("#000000");
    dots(real, this.width < 220 ? 0.8 : 1.1);
    pen.fill();
  }

  arrow(pen, [x, y], right, up) {
    const scale = (ARROW * this.width) / 127, dx = right * scale, dy = -up * scale;
    const length = Math.hypot(dx, dy);
    if (length < 1) { return; }
    const head = Math.min(4, 0.4 * length), angle = Math.atan2(dy, dx);
    pen.moveTo(x, y);
    pen.lineTo(x + dx, y + dy);
    for (const turn of [2.6, -2.6]) {
      pen.moveTo(x + dx, y + dy);
      pen.lineTo(x + dx + head * Math.cos(angle + turn), y + dy + head * Math.sin(angle + turn));
    }
  }

  /** Lines of equal logit, at equal distances between the least and the greatest. */
  contours(pen, logit, rows, columns, [wide, high]) {
    pen.strokeStyle = translucent(variable("--text"), 0.16);
    pen.lineWidth = 0.8;
    pen.beginPath();
    for (let row = 0; row + 1 < rows; row += 1) {
      for (let column = 0; column + 1 < columns; column += 1) {
        // Corners in a circle: x, y in cells from the lower left.
        const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([x, y]) => (
          [column + x, row + y, logit[(row + y) * columns + column + x]]));
        if (corners.some((corner) => corner[2] === NO_NUMBER)) { continue; }
        const values = corners.map((corner) => corner[2]);
        const lowest = Math.min(...values), highest = Math.max(...values);
        for (let k = 1; k <= CONTOURS; k += 1) {
          const level = (k * LEVELS) / (CONTOURS + 1) + 0.01;
          if (level < lowest || level > highest) { continue; }
          const cuts = [];
          corners.forEach(([x, y, value], i) => {
            const [nextX, nextY, next] = corners[(i + 1) % 4];
            if ((value < level) !== (next < level)) {
              const t = (level - value) / (next - value);
              cuts.push([(x + t * (nextX - x)) * wide, this.height - (y + t * (nextY - y)) * high]);
            }
          });
          for (let i = 0; i + 1 < cuts.length; i += 2) {
            pen.moveTo(...cuts[i]);
            pen.lineTo(...cuts[i + 1]);
          }
        }
      }
    }
    pen.stroke();
  }

  /** One dimension: densities of data and samples above, the logit below. */
  line(pen, { logit, real, fake, arrow }) {
    const { width, height } = this, middle = 0.6 * height, bins = 48;
    const counts = (points) => {
      const numbers = new Array(bins).fill(0);
      for (const point of points) {
        if (point !== OUTSIDE) { numbers[Math.floor((point / OUTSIDE) * bins)] += 1; }
      }
      return numbers.map((count) => count / Math.max(1, points.length));
    };
    const shares = [counts(real), counts(fake)];
    // Data set the scale, the same for every group; a higher pile of samples is cut at the top.
    const top = 1.6 * Math.max(...shares[0]) || 1;
    const inks = [ink("#000000"), ink("#D55E00")];
    shares.forEach((share, k) => {
      pen.beginPath();
      pen.moveTo(0, middle);
      share.forEach((value, i) => {
        const y = middle - Math.min(1, value / top) * (middle - 8);
        pen.lineTo((i / bins) * width, y);
        pen.lineTo(((i + 1) / bins) * width, y);
      });
      pen.lineTo(width, middle);
      pen.fillStyle = translucent(inks[k], k ? 0.3 : 0.16);
      pen.fill();
      pen.strokeStyle = inks[k];
      pen.lineWidth = k ? 1.6 : 1;
      pen.stroke();
    });
    const bottom = height - 8, reach = bottom - middle - 14;
    pen.beginPath();
    logit.forEach((level, i) => {
      if (level === NO_NUMBER) { return; }
      const x = (i / (logit.length - 1)) * width, y = bottom - (level / LEVELS) * reach;
      if (i && logit[i - 1] !== NO_NUMBER) { pen.lineTo(x, y); } else { pen.moveTo(x, y); }
    });
    pen.strokeStyle = ink("#0072B2");
    pen.lineWidth = 2;
    pen.stroke();
    pen.strokeStyle = translucent(variable("--text"), 0.75);
    pen.lineWidth = 1.1;
    pen.beginPath();
    arrow.forEach((right, i) => {
      if (fake[i] !== OUTSIDE) {
        this.arrow(pen, [(fake[i] / (OUTSIDE - 1)) * width, middle + 7], right, 0);
      }
    });
    pen.stroke();
  }
}
