"use strict";
// The same request from a shell and from programs. Pure functions of what is asked.

const shellQuoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** For `curl -F name=@...`: within double quotes `,` and `;` are letters; `-` alone would be stdin. */
function curlFile(field, name) {
  const path = (name === "-" ? "./-" : name).replace(/[\\"]/g, "\\$&");
  return shellQuoted(`${field}=@"${path}"`);
}

const SNIPPETS = {
  curl({ names, url, hasKey }) {
    const field = names.length > 1 ? "files" : "file";
    const key = hasKey ? [`-H "X-API-Key: $SIGHTSERVE_API_KEY"`] : [];
    const files = names.map((name) => `-F ${curlFile(field, name)}`);
    return ["curl --fail-with-body", ...key, ...files, shellQuoted(url)].join(" \\\n  ");
  },

  Python({ names, base, options, hasKey }) {
    const given = Object.entries(options).map(([name, value]) => `, ${name}=${JSON.stringify(value)}`).join("");
    const key = hasKey ? ', api_key=os.environ["SIGHTSERVE_API_KEY"]' : "";
    return `${hasKey ? "import os\n\n" : ""}import sightserve

with sightserve.Client(${JSON.stringify(base)}${key}) as client:
    for name in ${JSON.stringify(names)}:
        answer = client.classify(name${given})
        for each in answer.predictions:
            print(name, each.label, each.probability)`;
  },

  httpx({ names, base, options, hasKey }) {
    const headers = hasKey ? '\n        headers={"X-API-Key": os.environ["SIGHTSERVE_API_KEY"]},' : "";
    return `${hasKey ? "import os\n" : ""}from pathlib import Path

import httpx

for name in ${JSON.stringify(names)}:
    response = httpx.post(
        ${JSON.stringify(`${base}/classify`)},
        params=${JSON.stringify(options)},
        files={"file": (name, Path(name).read_bytes())},${headers}
    )
    response.raise_for_status()
    for each in response.json()["predictions"]:
        print(name, each["label"], each["probability"])`;
  },

  JavaScript({ url, names, hasKey }) {
    const single = url.replace("/classify/batch", "/classify");
    return `// file: a File or Blob${names.length > 1 ? ", one at a time" : ""}
const form = new FormData();
form.append("file", file);
const response = await fetch(${JSON.stringify(single)}, {
  method: "POST",
  body: form,${hasKey ? '\n  headers: { "X-API-Key": key },' : ""}
});
const answer = await response.json();
if (!response.ok) throw new Error(answer.detail);
console.log(answer.predictions);`;
  },
};

class Snippets {
  #asked = null;
  #language = "curl";

  constructor() {
    for (const language of Object.keys(SNIPPETS)) {
      const button = element("button", "", language);
      button.type = "button";
      button.addEventListener("click", () => { this.#language = language; this.#draw(); });
      $("languages").append(button);
    }
    $("copy").addEventListener("click", () => this.#copy());
  }

  show(names, choice, hasKey) {
    const base = location.origin + location.pathname.replace(/\/[^/]*$/, "");
    const query = choice.query();
    const path = names.length > 1 ? "/classify/batch" : "/classify";
    this.#asked = { names, base, hasKey, options: choice.options(), url: `${base}${path}${query && `?${query}`}` };
    $("code").hidden = false;
    this.#draw();
  }

  #draw() {
    for (const button of $("languages").children) {
      button.setAttribute("aria-pressed", String(button.textContent === this.#language));
    }
    $("snippet").textContent = SNIPPETS[this.#language](this.#asked);
    $("copy").textContent = `Copy ${this.#language}`;
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText($("snippet").textContent);
      announce(`${this.#language} copied`);
      $("copy").textContent = "Copied";
    } catch { // not on https or localhost: select it, so that Ctrl-C takes it
      getSelection().selectAllChildren($("snippet"));
      announce("Selected; copy it with the keyboard");
    }
  }
}
