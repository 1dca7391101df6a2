"use strict";
// Which model, version and how many labels; the address's fragment remembers it, so a link repeats it.

const DEFAULT_TOP_K = 5;

class Choice {
  #gateway;
  #models = [];
  #wanted; // what the link says, until the pickers know such a model or version

  constructor(gateway, onChange) {
    this.#gateway = gateway;
    this.onModels = () => {};
    this.#wanted = new URLSearchParams(location.hash.slice(1));
    this.#adopt();
    $("choice").addEventListener("submit", (event) => event.preventDefault());
    $("model-choice").addEventListener("change", () => {
      this.#wanted.delete("version");
      this.#wanted.delete("version_label");
      this.#wanted.set("model", $("model-choice").value);
      this.#fillVersions();
      this.#remember();
      onChange();
      this.load(); // the labels of the new model
    });
    for (const id of ["version-choice", "top-k"]) {
      $(id).addEventListener("change", () => { this.#remember(); onChange(); });
    }
    addEventListener("hashchange", () => {
      this.#wanted = new URLSearchParams(location.hash.slice(1));
      this.#adopt();
      onChange();
    });
  }

  get models() { return this.#models; }

  get isDefault() { return !$("model-choice").value; }

  get modelName() {
    return $("model-choice").value || this.#models.find((each) => each.is_default)?.name || "";
  }

  /** What goes into the request, only where it differs from the gateway's defaults. */
  options() {
    const topK = $("top-k").valueAsNumber;
    const [kind, value] = $("version-choice").value.split(/:(.*)/);
    return {
      ...($("model-choice").value && { model: $("model-choice").value }),
      ...(kind === "version" && { version: Number(value) }),
      ...(kind === "label" && { version_label: value }),
      ...(topK >= 1 && topK !== DEFAULT_TOP_K && { top_k: Math.min(1000, Math.round(topK)) }),
    };
  }

  query() { return new URLSearchParams(this.options()).toString(); }

  /** In words, for people. */
  words() {
    const version = $("version-choice").selectedOptions[0];
    return [this.modelName || "the model", version?.value && version.textContent].filter(Boolean).join(", ");
  }

  /** Ask the gateway what it serves, and fill the pickers without losing what is chosen. */
  async load() {
    try {
      this.#models = (await this.#gateway.ask("models")).body.models;
      this.#fillModels();
      this.#fillVersions();
      this.onModels(this.#models);
      const name = this.modelName;
      if (!name) return;
      const { body } = await this.#gateway.ask(`models/${encodeURIComponent(name)}`);
      if (name === this.modelName) this.onLabels?.(body.versions.find((each) => each.labels)?.labels);
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // the state says why
    }
  }

  #adopt() {
    this.#fillModels();
    this.#fillVersions();
    $("top-k").value = this.#wanted.get("top_k") || DEFAULT_TOP_K;
  }

  #fillModels() {
    const wanted = this.#wanted.get("model") || "";
    const standard = this.#models.find((each) => each.is_default)?.name;
    const others = this.#models.map((each) => each.name).filter((name) => name !== standard);
    if (wanted && wanted !== standard && !others.includes(wanted)) others.push(wanted);
    const first = new Option(standard || "default", "");
    $("model-choice").replaceChildren(first, ...others.map((name) => new Option(name, name)));
    $("model-choice").value = wanted === standard ? "" : wanted;
  }

  #fillVersions() {
    const model = this.#models.find((each) => each.name === this.modelName);
    const available = (model?.versions || []).filter((each) => each.state === "AVAILABLE");
    const labels = Array.isArray(model?.version_labels) ? model.version_labels : Object.keys(model?.version_labels || {});
    const served = available.filter((each) => each.default_at);
    const options = [
      new Option(served.length === 1 ? `served (${served[0].version})` : "served", ""),
      ...labels.map((label) => new Option(label, `label:${label}`)),
      ...available.map((each) => new Option(`version ${each.version}`, `version:${each.version}`)),
    ];
    const { version, version_label: label } = Object.fromEntries(this.#wanted);
    const wanted = version ? `version:${version}` : label ? `label:${label}` : "";
    if (!options.some((option) => option.value === wanted)) options.push(new Option(wanted.replace(/^(version|label):/, "$1 "), wanted));
    $("version-choice").replaceChildren(...options);
    $("version-choice").value = wanted;
  }

  #remember() {
    const query = this.query();
    this.#wanted = new URLSearchParams(query);
    history.replaceState(null, "", query ? `#${query}` : location.pathname + location.search);
  }
}
