// Plays a recorded run back: the arm in 3-D (drag to turn), its joints, and what each step cost.
// Everything it needs is in the page; arrays are base64 of little-endian integers.
(() => {
  const source = document.getElementById("playback");
  const stage = document.getElementById("stage");
  if (!source || !stage) return;
  const run = JSON.parse(source.textContent);
  const unpack = (text, Kind) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new Kind(bytes.buffer);
  };
  const ends = unpack(run.ends, Int16Array);          // 0.1 mm
  const tip = unpack(run.tip, Int16Array);            // 0.1 mm
  const q = unpack(run.q, Int16Array);                // 0.1 mrad
  const act = unpack(run.act_us, Uint32Array);        // us
  const status = unpack(run.status, Uint8Array);
  const count = run.parts.length, joints = run.joints.names.length;
  const byId = (id) => document.getElementById(id);
  const slider = byId("scrub"), button = byId("play");
  const view = { azimuth: -0.95, elevation: 0.36 };
  let now = 0, playing = false, last = 0, pieces = [];

  const mix = (hex, tone) => {
    const part = (i) => {
      const v = parseInt(hex.slice(i, i + 2), 16);
      return Math.round(tone <= 1 ? v * tone : v + (255 - v) * (tone - 1));
    };
    return `rgb(${part(1)},${part(3)},${part(5)})`;
  };
  const tones = run.parts.map((p) => ({
    dark: mix(p.colour, 0.6), body: p.colour, shine: mix(p.colour, 1.4),
    side: mix(p.colour, 0.72), cap: mix(p.colour, 1.12),
  }));
  const colour = (name) => getComputedStyle(stage).getPropertyValue(name).trim();
  const episodeAt = (step) => {
    let found = 0;
    run.episodes.forEach((e, i) => { if (e.start <= step) found = i; });
    return found;
  };

  function camera(width, height) {
    const ca = Math.cos(view.azimuth), sa = Math.sin(view.azimuth);
    const ce = Math.cos(view.elevation), se = Math.sin(view.elevation);
    const scale = Math.min(width / 0.98, height / 0.84);
    const [tx, ty, tz] = run.target;
    return {
      scale, se,
      see(x, y, z) {
        x -= tx; y -= ty; z -= tz;
        return [
          width / 2 + scale * (-sa * x + ca * y),
          height / 2 - scale * (-se * ca * x - se * sa * y + ce * z),
          ce * ca * x + ce * sa * y + se * z,
        ];
      },
    };
  }

  function line(ink, points, width, stroke) {
    ink.beginPath();
    points.forEach(([x, y], i) => (i ? ink.lineTo(x, y) : ink.moveTo(x, y)));
    ink.lineWidth = width; ink.strokeStyle = stroke; ink.stroke();
  }

  function tube(ink, a, b, radius, tone) {
    const width = 2 * radius, lift = 0.13 * width;
    for (const [share, shift, shade] of [[1, 0, tone.dark], [0.76, 0.5, tone.body], [0.26, 1.2, tone.shine]]) {
      const d = lift * shift;
      line(ink, [[a[0] - d, a[1] - d], [b[0] - d, b[1] - d]], Math.max(width * share, 0.6), shade);
    }
  }

  function drum(ink, a, b, radius, scale, tone) {
    const [far, near] = a[2] < b[2] ? [a, b] : [b, a];
    const dx = near[0] - far[0], dy = near[1] - far[1], length = Math.hypot(dx, dy);
    const depth = (near[2] - far[2]) * scale;
    const facing = depth / Math.max(Math.hypot(length, depth), 1e-9);
    ink.save();
    ink.translate(far[0], far[1]); ink.rotate(length > 1e-6 ? Math.atan2(dy, dx) : 0);
    const cap = (x, fill) => {
      ink.beginPath(); ink.ellipse(x, 0, radius * facing, radius, 0, 0, 7);
      ink.fillStyle = fill; ink.fill();
    };
    cap(0, tone.dark);
    ink.fillStyle = tone.side; ink.fillRect(0, -radius, length, 2 * radius);
    cap(length, tone.cap);
    ink.restore();
  }

  const veil = document.createElement("canvas");
  function floor(ink, see, scale, point, width, height, ratio) {
    ink.lineWidth = 1;
    for (const radius of [0.1, 0.2, 0.3, 0.4, 0.5]) {
      const ring = [];
      for (let k = 0; k <= 72; k++) {
        const t = (k / 72) * 2 * Math.PI;
        ring.push(see(radius * Math.cos(t), radius * Math.sin(t), 0));
      }
      line(ink, ring, 1, colour(Math.round(radius * 10) % 2 ? "--ring-faint" : "--ring"));
      if (Math.round(radius * 10) % 2 === 0) {
        const [x, y] = see(radius, 0, 0);
        ink.fillStyle = colour("--muted"); ink.font = "11px system-ui, sans-serif";
        ink.textAlign = "center"; ink.fillText(`${radius * 100} cm`, x, y - 4);
      }
    }
    // Shadows are drawn opaque on a sheet of their own and laid over once, so overlaps do not add.
    veil.width = width * ratio; veil.height = height * ratio;
    const dark = veil.getContext("2d");
    dark.scale(ratio, ratio); dark.lineCap = "round";
    run.parts.forEach((part, p) => {
      const a = point(p, 0), b = point(p, 1);
      line(dark, [see(a[0], a[1], 0), see(b[0], b[1], 0)], 1.7 * part.radius * scale, colour("--shadow"));
    });
    ink.globalAlpha = 0.22; ink.drawImage(veil, 0, 0, width, height); ink.globalAlpha = 1;
  }

  function goalBall(ink, at, radius, done) {
    ink.beginPath(); ink.arc(at[0], at[1], radius, 0, 7);
    ink.globalAlpha = done ? 0.75 : 0.35; ink.fillStyle = colour("--good"); ink.fill();
    ink.globalAlpha = 1; ink.lineWidth = 1.5; ink.strokeStyle = colour("--good"); ink.stroke();
  }

  function draw() {
    const step = Math.min(Math.floor(now), run.steps - 1);
    const ratio = window.devicePixelRatio || 1;
    const width = stage.clientWidth, height = stage.clientHeight;
    if (stage.width !== Math.round(width * ratio)) {
      stage.width = Math.round(width * ratio); stage.height = Math.round(height * ratio);
    }
    const ink = stage.getContext("2d");
    ink.setTransform(ratio, 0, 0, ratio, 0, 0);
    ink.clearRect(0, 0, width, height); ink.lineCap = ink.lineJoin = "round";
    const number = episodeAt(step), episode = run.episodes[number];
    const { see, scale, se } = camera(width, height);
    const at = (array, i) => [array[i] / 1e4, array[i + 1] / 1e4, array[i + 2] / 1e4];
    const point = (part, end) => at(ends, ((step * count + part) * 2 + end) * 3);
    floor(ink, see, scale, point, width, height, ratio);

    const goal = episode.goal, radius = run.goal_radius * scale, ball = see(...goal);
    const foot = see(goal[0], goal[1], 0);
    ink.setLineDash([3, 4]); line(ink, [ball, foot], 1, colour("--good")); ink.setLineDash([]);
    ink.beginPath(); ink.ellipse(foot[0], foot[1], radius, Math.max(radius * Math.abs(se), 0.5), 0, 0, 7);
    ink.strokeStyle = colour("--good"); ink.lineWidth = 1; ink.stroke();

    const here = at(tip, step * 3);
    const gap = Math.hypot(here[0] - goal[0], here[1] - goal[1], here[2] - goal[2]);
    pieces = run.parts.map((part, p) => {
      const a = see(...point(p, 0)), b = see(...point(p, 1));
      return { depth: (a[2] + b[2]) / 2, paint: () => part.kind === "capsule"
        ? tube(ink, a, b, part.radius * scale, tones[p])
        : drum(ink, a, b, part.radius * scale, scale, tones[p]) };
    });
    pieces.push({ depth: ball[2], paint: () => goalBall(ink, ball, radius, gap <= run.goal_radius) });
    pieces.sort((a, b) => a.depth - b.depth).forEach((piece) => piece.paint());
    const trail = [];
    for (let s = episode.start; s <= step; s++) trail.push(see(...at(tip, s * 3)));
    line(ink, trail, 2, colour("--trail"));
    tell(step, number, gap);
  }

  function tell(step, number, gap) {
    const episode = run.episodes[number];
    byId("now-goal").textContent = `${number + 1} of ${run.episodes.length}`;
    byId("now-gap").textContent = (gap * 1000).toFixed(gap < 0.1 ? 1 : 0);
    byId("now-gap").className = gap <= run.goal_radius ? "there" : "";
    byId("now-time").textContent = `${((step - episode.start) * run.dt).toFixed(2)} s`;
    byId("now-status").textContent = run.statuses[status[step]];
    byId("now-status").className = status[step] ? "alarm" : "";
    byId("now-act").textContent = `${(act[step] / 1000).toFixed(2)} ms`;
    for (let j = 0; j < joints; j++) {
      const value = q[step * joints + j] / 1e4, low = run.joints.low[j], high = run.joints.high[j];
      byId(`joint-${j}`).style.left = `${(100 * (value - low)) / (high - low)}%`;
      byId(`angle-${j}`).textContent = value.toFixed(2);
    }
    slider.value = step;
    slider.setAttribute("aria-valuetext", `goal ${number + 1}, step ${step - episode.start}`);
    byId("cursor").style.left = `${(100 * step) / Math.max(run.steps - 1, 1)}%`;
    document.querySelectorAll(".card").forEach((card, i) => card.classList.toggle("now", i === number));
  }

  function tick(time) {
    if (!playing) return;
    now += Math.min((time - last) / 1000, 0.1) / run.dt; last = time;
    if (now >= run.steps) now = 0;
    draw(); requestAnimationFrame(tick);
  }
  function play(on) {
    playing = on; button.textContent = on ? "Pause" : "Play";
    if (on) { last = performance.now(); requestAnimationFrame(tick); }
  }
  const seek = (step) => { now = step; draw(); };

  button.addEventListener("click", () => play(!playing));
  slider.addEventListener("input", () => { play(false); seek(Number(slider.value)); });
  document.querySelectorAll(".card").forEach((card, i) => card.addEventListener("click", () => {
    seek(run.episodes[i].start); play(true);
    stage.scrollIntoView({ behavior: "smooth", block: "center" });
  }));
  document.querySelectorAll("[data-azimuth]").forEach((preset) => preset.addEventListener("click", () => {
    view.azimuth = Number(preset.dataset.azimuth); view.elevation = Number(preset.dataset.elevation); draw();
  }));
  stage.addEventListener("pointerdown", (down) => {
    const from = { x: down.clientX, y: down.clientY, ...view };
    stage.setPointerCapture(down.pointerId);
    const turn = (move) => {
      view.azimuth = from.azimuth - (move.clientX - from.x) * 0.008;
      view.elevation = Math.max(-0.1, Math.min(1.57, from.elevation + (move.clientY - from.y) * 0.008));
      draw();
    };
    stage.addEventListener("pointermove", turn);
    const stop = () => stage.removeEventListener("pointermove", turn);
    stage.addEventListener("pointerup", stop, { once: true });
    stage.addEventListener("pointercancel", stop, { once: true });
  });
  window.addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  seek(Math.min(run.poster, run.steps - 1));
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play(true);
})();
