"use strict";
// The live panel, from /stats; hidden where that is not for this page's port or key.

const POINTS = 60;
const SVG = "http://www.w3.org/2000/svg";
const QUANTILES = ["p50", "p95", "p99"];
const STAGE_ORDER = ["decode", "queue", "inference", "total"];

/** Lines on one scale, the first in front; `words` say what a reader of the picture would. */
function sparkline(series, words) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 120 24");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", words);
  const high = Math.max(...series.flat());
  const y = (value) => (high ? 22 - (20 * value) / high : 22).toFixed(1);
  for (const values of [...series].reverse()) {
    const line = document.createElementNS(SVG, "polyline");
    const drawn = values.length > 1 ? values : [values[0], values[0]];
    line.setAttribute("points", drawn.map((value, at) => `${((120 * at) / (drawn.length - 1)).toFixed(1)},${y(value)}`).join(" "));
    svg.append(line);
  }
  return svg;
}

/** A series in words, for who does not see it. */
function inWords(name, values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return `${name}: between ${low.toFixed(1)} and ${high.toFixed(1)}, now ${values.at(-1).toFixed(1)}`;
}

class LivePanel {
  #gateway;
  #choice;
  #past = new Map(); // of each series its latest values, the newest last

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
    const rate = stats.requests_per_second;
    const numbers = [["images/s", rate.toFixed(1)], ["in progress", stats.images_in_progress], ["answered", stats.answered],
      ["refused", stats.refused], ["failed", stats.failed]];
    $("counts").replaceChildren(...numbers.filter(([, value]) => value !== undefined).map(([name, value]) => {
      const pair = element("div");
      pair.append(element("dt", "", name), element("dd", "", String(value)));
      if (name === "images/s") {
        const rates = this.#remember(name, rate);
        pair.lastChild.append(" ", sparkline([rates], inWords("Images per second", rates)));
      }
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
    line.append(head, ...QUANTILES.map((each) => element("td", "", milliseconds(row[each]))));
    const last = element("td");
    const series = QUANTILES.map((each) => this.#remember(`${name} ${each}`, row[each]));
    const words = QUANTILES.map((each, at) => inWords(each, series[at]));
    last.append(sparkline(series, `${name}, in milliseconds; ${words.join("; ")}`));
    line.append(last);
    return line;
  }

  #remember(name, value) {
    const values = [...(this.#past.get(name) || []), value ?? 0].slice(-POINTS);
    this.#past.set(name, values);
    return values;
  }
}
