"use strict";
// Pictures with what was said about them: the grid of one batch, and the history of the session.

let pictureCount = 0;

/** One file and its latest answer; owns the object URL of its thumbnail. */
class Picture {
  constructor(file) {
    this.id = ++pictureCount;
    this.file = file;
    this.name = file.name || "pasted.png";
    this.url = URL.createObjectURL(file);
    this.forget();
  }

  forget() { Object.assign(this, { answer: null, problem: null, requestId: null, roundTrip: 0 }); }

  get summary() {
    if (this.problem) return this.problem.title;
    if (!this.answer) return "asking…";
    const best = this.answer.predictions[0];
    return best ? `${labelOf(best)} ${percent(best.probability)}` : "no label";
  }

  close() { URL.revokeObjectURL(this.url); }
}

/** Buttons with thumbnails, one a picture. */
class Tiles {
  #list;
  #onChoose;

  constructor(list, onChoose) {
    this.#list = list;
    this.#onChoose = onChoose;
  }

  show(pictures) { this.#list.replaceChildren(...pictures.map((each) => this.#tile(each))); }

  refresh(picture) {
    const old = this.#list.querySelector(`[data-id="${picture.id}"]`);
    if (!old) return;
    const said = old.querySelector(".said");
    said.textContent = picture.summary;
    said.classList.toggle("wrong", Boolean(picture.problem));
    old.title = picture.problem?.detail || picture.name;
  }

  mark(picture) {
    for (const button of this.#list.querySelectorAll("button")) {
      button.setAttribute("aria-current", String(button.dataset.id === String(picture?.id)));
    }
  }

  #tile(picture) {
    const item = element("li");
    const button = element("button");
    button.type = "button";
    button.dataset.id = picture.id;
    const thumb = element("span", "thumb");
    const image = element("img");
    image.alt = "";
    image.onerror = () => image.replaceWith((picture.name.match(/\.(\w{1,5})$/)?.[1] || "?").toUpperCase());
    image.src = picture.url;
    thumb.append(image);
    button.append(thumb, element("span", "said"), element("span", "name", picture.name));
    button.addEventListener("click", () => this.#onChoose(picture));
    item.append(button);
    queueMicrotask(() => this.refresh(picture));
    return item;
  }
}

const HISTORY_LENGTH = 60;

/** The session's pictures, the newest first; in memory only. */
class SessionHistory {
  #pictures = [];
  #tiles;

  constructor(onChoose) { this.#tiles = new Tiles($("seen"), onChoose); }

  /** Add pictures; `current` ones are on show and keep their thumbnails when history is full. */
  add(pictures) {
    const old = this.#pictures.filter((each) => !pictures.includes(each));
    const keep = Math.max(0, HISTORY_LENGTH - pictures.length);
    for (const each of old.slice(keep)) each.close();
    this.#pictures = [...pictures, ...old.slice(0, keep)];
    this.#draw();
  }

  clear(current) {
    for (const each of this.#pictures) if (!current.includes(each)) each.close();
    this.#pictures = [];
    this.#draw();
  }

  refresh(picture) { this.#tiles.refresh(picture); }

  mark(picture) { this.#tiles.mark(picture); }

  has(picture) { return this.#pictures.includes(picture); }

  #draw() {
    $("history").hidden = !this.#pictures.length;
    this.#tiles.show(this.#pictures);
  }
}
