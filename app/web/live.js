"use strict";
// The live panel, from /stats; hidden where that is not for this page's port or key.

const POINTS = 60;
const SVG = "http://www.w3.org/2000/svg";
const STAGE_ORDER = ["decode", "queue", "inference", "total"];

function sparkline(values, words) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 120 24");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const [low, high] = [Math.min(...values), Math.max(...values)];
  svg.setAttribute("aria-label", `${words}: between ${low.toFixed(1)} and ${high.toFixed(1)}, now ${values.at(-1).toFixed(1)}`);
  const line = document.createElementNS(SVG, "polyline");
  const y = (value) => (high ? 22 - (20 * value) / high : 22).toFixed(1);
  const drawn = values.length > 1 ? values : [values[0], values[0]];
  line.setAttribute("points", drawn.map((value, at) => `${((120 * at) / (drawn.length - 1)).toFixed(1)},${y(value)}`).join(" "));
  svg.append(line);
  return svg;
}

class LivePanel {
  #gateway;
  #choice;
  #past = new Map(); // of each series its latest values, the newest last
  #before = null;

  constructor(gateway, choice) {
    this.#gateway = gateway;
    this.#choice = choice;
  }

  async refresh() {
    try {
      const { body } = await this.#gateway.ask("stats");
      this.#draw(body);
      $("live").hidden = false;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      $("live").hidden = true; // 404 on a port of its own, 401 without a key, or out of reach
    }
  }

  showModels(models) {
    $("versions").replaceChildren(...models.flatMap((model) => model.versions.map((each) =>
      element("li", "", `${model.name} ${each.version} · ${each.state.toLowerCase()}${each.default_at ? " · served" : ""}`))));
  }

  #draw(stats) {
    const rate = stats.requests_per_second ?? this.#rate(stats);
    const numbers = [["images/s", rate?.toFixed(1)], ["in progress", stats.images_in_progress], ["answered", stats.answered],
      ["refused", stats.refused], ["failed", stats.failed]];
    $("counts").replaceChildren(...numbers.filter(([, value]) => value !== undefined).map(([name, value]) => {
      const pair = element("div");
      pair.append(element("dt", "", name), element("dd", "", String(value)));
      if (name === "images/s") pair.lastChild.append(" ", sparkline(this.#remember(name, rate), "Images per second"));
      return pair;
    }));
    const minutes = Math.round(stats.window_seconds / 60);
    $("uptime").textContent = minutes ? `times over the last ${minutes} minutes` : "";
    const place = (row) => STAGE_ORDER.indexOf(row.stage);
    const all = stats.stages || [];
    const mine = all.filter((row) => row.model === this.#choice.modelName);
    const rows = (mine.length ? mine : all).sort((one, other) => other.version - one.version || place(one) - place(other));
    $("stage-rows").replaceChildren(...rows.map((row) => this.#row(row)));
    if (!rows.length) {
      const line = element("tr");
      line.append(element("td", "hint", "Nothing yet: the first picture starts it."));
      line.firstChild.colSpan = 5;
      $("stage-rows").append(line);
    }
  }

  #row(row) {
    const name = `${row.stage} · ${row.model} ${row.version}`;
    const line = element("tr");
    const head = element("th", "", name);
    head.scope = "row";
    line.append(head, ...[row.p50, row.p95, row.p99].map((value) => element("td", "", milliseconds(value))));
    const last = element("td");
    last.append(sparkline(this.#remember(name, row.p95), `p95 of ${name} in milliseconds`));
    line.append(last);
    return line;
  }

  #remember(name, value) {
    const values = [...(this.#past.get(name) || []), value ?? 0].slice(-POINTS);
    this.#past.set(name, values);
    return values;
  }

  /** Of gateways that count but do not divide: what came since the last look. */
  #rate(stats) {
    const count = (stats.stages || []).filter((row) => row.stage === "total").reduce((sum, row) => sum + row.count, 0);
    const now = performance.now() / 1000;
    const before = this.#before;
    this.#before = { count, now };
    return before ? Math.max(0, count - before.count) / (now - before.now) : 0;
  }
}
