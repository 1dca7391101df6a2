"use strict";
// The answer's place: idle, busy, a problem or a result; never two of them.

const STAGES = ["decode", "queue", "inference"];

const labelOf = (prediction) => prediction.label ?? `class ${prediction.class_index}`;

class AnswerView {
  idle() { this.#only("idle"); }

  busy(text) {
    $("busy-text").textContent = text;
    this.#only("busy");
    announce(text);
  }

  problem(body, requestId) {
    const [title, detail, meta] = $("problem").children;
    title.textContent = body.title || "Something went wrong";
    detail.textContent = body.detail || "";
    meta.textContent = [body.status && `HTTP ${body.status}`, requestId && `request ${requestId}`].filter(Boolean).join(" · ");
    this.#only("problem");
  }

  result(body, roundTrip) {
    const list = $("predictions");
    list.replaceChildren(...body.predictions.map((each) => this.#prediction(each)));
    if (!body.predictions.length) list.append(element("li", "hint", "No label is probable enough."));
    const { format, width, height } = body.image;
    $("model").textContent = `${body.model.name}, version ${body.model.version} · ${format} ${width} × ${height}`;
    this.#timings(body.timing_ms, roundTrip);
    this.#only("result");
  }

  #only(name) {
    for (const id of ["idle", "busy", "problem", "result"]) $(id).hidden = id !== name;
    $("answer").setAttribute("aria-busy", String(name === "busy"));
  }

  #prediction(each) {
    const item = element("li");
    const row = element("div", "row");
    row.append(element("b", "", labelOf(each)), element("span", "", percent(each.probability)));
    const bar = element("meter");
    bar.value = each.probability;
    bar.setAttribute("aria-label", `Probability of ${labelOf(each)}`);
    item.append(row, bar);
    return item;
  }

  #timings(timing = {}, roundTrip) {
    const parts = STAGES.filter((name) => timing[name] !== undefined).map((name) => [name, timing[name]]);
    const rest = (timing.total || 0) - parts.reduce((sum, part) => sum + part[1], 0);
    parts.push(["other", Math.max(0, rest)]);
    $("stages").replaceChildren(...parts.map(([name, value]) => {
      const part = element("div");
      part.style.flexGrow = String(value);
      part.style.background = `var(--${name})`;
      return part;
    }));
    $("stages").setAttribute("aria-label",
      `Time spent: ${parts.map(([name, value]) => `${name} ${milliseconds(value)}`).join(", ")}`);
    const total = `total ${milliseconds(timing.total)}${roundTrip ? `, with the network ${milliseconds(roundTrip)}` : ""}`;
    $("legend").replaceChildren(...parts.map(([name, value]) => {
      const key = element("span", "key");
      const swatch = element("i");
      swatch.style.background = `var(--${name})`;
      key.append(swatch, `${name} ${milliseconds(value)}`);
      return key;
    }), element("span", "", total));
  }
}
