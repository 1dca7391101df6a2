"use strict";
// The page: pictures come in by four ways, one question at a time is current, everything shows it.

const READY_SECONDS = 10;
const NOT_READY_SECONDS = 2;
const STATS_SECONDS = 3;
const MODELS_SECONDS = 20;

class Page {
  #gateway = new Gateway(document.body.dataset);
  #choice = new Choice(this.#gateway, () => this.#askAgain());
  #view = new AnswerView();
  #snippets = new Snippets();
  #history = new SessionHistory((picture) => this.#look(picture));
  #grid = new Tiles($("grid"), (picture) => this.#look(picture));
  #live = new LivePanel(this.#gateway, this.#choice);
  #pictures = []; // that the current question is about
  #shown = null;
  #question = 0; // answers to an older one are dropped
  #aborter = null;
  #isReady = null;

  start() {
    this.#listen();
    this.#choice.onModels = (models) => this.#live.showModels(models);
    this.#choice.onLabels = (labels) => this.#offerSamples(labels);
    this.#gateway.onUnauthorized = () => { $("ask").hidden = false; };
    this.#offerSamples([]);
    repeat(() => this.#checkReady(), () => (this.#isReady ? READY_SECONDS : NOT_READY_SECONDS));
    this.loadModels = repeat(() => this.#choice.load(), () => MODELS_SECONDS);
    this.loadStats = repeat(() => this.#live.refresh(), () => STATS_SECONDS);
  }

  /** Classify files that people chose, dropped or pasted; the old answer goes at once. */
  open(files) {
    if (!files.length) return;
    const pictures = [...files].map((file) => new Picture(file));
    for (const each of this.#pictures) if (!this.#history.has(each)) each.close();
    this.#history.add(pictures);
    this.#ask(pictures);
  }

  async #ask(pictures) {
    const mine = ++this.#question;
    this.#aborter?.abort();
    this.#aborter = new AbortController();
    this.#pictures = pictures;
    for (const each of pictures) each.forget();
    $("batch").hidden = pictures.length < 2;
    this.#grid.show(pictures.length < 2 ? [] : pictures);
    for (const each of pictures) this.#changed(each);
    this.#snippets.show(pictures.map((each) => each.name), this.#choice, Boolean(this.#gateway.key));
    this.#look(pictures[0]);
    const what = pictures.length > 1 ? `${pictures.length} pictures` : pictures[0].name;
    announce(`Asking ${this.#choice.words()} about ${what}…`);
    await (pictures.length > 1 ? this.#askForEach(mine) : this.#askForOne(mine));
    if (mine !== this.#question) return;
    const failed = pictures.filter((each) => each.problem).length;
    announce(pictures.length > 1 ? `${pictures.length - failed} answered, ${failed} with a problem`
      : `${pictures[0].summary}${failed ? `: ${pictures[0].problem.detail || ""}` : ""}`);
    this.loadStats();
  }

  async #askForOne(mine) {
    const [picture] = this.#pictures;
    const outcome = await this.#outcome([picture], this.#gateway.maxBodyBytes, async ([{ file }]) => {
      const { body, roundTrip } = await this.#gateway.classify(file, this.#choice.query(), this.#aborter.signal);
      return [{ ...body, roundTrip }];
    }, mine);
    if (outcome) this.#changed(picture);
  }

  async #askForEach(mine) {
    const all = this.#pictures;
    const query = this.#choice.query();
    const { signal } = this.#aborter;
    const most = this.#gateway.maxBatchBodyBytes - FORM_BYTES_PER_FILE;
    let done = 0;
    for (const group of this.#gateway.chunks(all)) {
      $("progress").textContent = `${done} of ${all.length} answered; asking ${this.#choice.words()}…`;
      const isCurrent = await this.#outcome(group, most, async (sent) =>
        (await this.#gateway.classifyBatch(sent.map((each) => each.file), query, signal)).body.results, mine);
      if (!isCurrent) return;
      for (const each of group) this.#changed(each);
      done += group.length;
    }
    const failed = all.filter((each) => each.problem).length;
    $("progress").textContent = `${all.length - failed} of ${all.length} answered${failed ? `, ${failed} with a problem` : ""}`;
  }

  /** Give each picture its answer or problem; false if the question was overtaken meanwhile. */
  async #outcome(pictures, maxBytes, send, mine) {
    const before = await Promise.all(pictures.map((each) => problemBefore(each.file, maxBytes)));
    if (mine !== this.#question) return false;
    const results = new Map(pictures.map((each, at) => [each, { problem: before[at] }]));
    const sent = pictures.filter((each, at) => !before[at]);
    try {
      const answers = sent.length ? await send(sent) : [];
      sent.forEach((each, at) => results.set(each, answers[at]));
    } catch (error) {
      if (mine !== this.#question) return false;
      const problem = error instanceof Problem ? error.body : { title: "The file cannot be sent", detail: String(error) };
      for (const each of sent) results.set(each, { problem, request_id: error.requestId });
    }
    if (mine !== this.#question) return false;
    for (const [picture, result] of results) {
      picture.problem = result.problem || null;
      picture.answer = result.problem ? null : result;
      picture.requestId = result.request_id;
      picture.roundTrip = result.roundTrip;
    }
    return true;
  }

  #changed(picture) {
    this.#grid.refresh(picture);
    this.#history.refresh(picture);
    if (picture === this.#shown) this.#showAnswer(picture);
  }

  /** Put one picture and what was said about it in front. */
  #look(picture) {
    this.#shown = picture;
    this.#grid.mark(picture);
    this.#history.mark(picture);
    const image = $("preview");
    image.onload = () => { image.classList.toggle("pixels", image.naturalWidth < 100); image.hidden = false; };
    image.onerror = () => { image.hidden = true; };
    image.alt = `The chosen picture, ${picture.name}`;
    image.src = picture.url;
    $("chosen").textContent = `${picture.name} · ${bytes(picture.file.size)}`;
    this.#showAnswer(picture);
  }

  #showAnswer(picture) {
    if (picture.problem) this.#view.problem(picture.problem, picture.requestId);
    else if (picture.answer) this.#view.result(picture.answer, picture.roundTrip);
    else if (this.#pictures.includes(picture)) this.#view.busy(`Asking ${this.#choice.words()} about ${picture.name}…`);
    else this.#view.problem({ title: "Not answered", detail: "Another picture came before its answer." });
  }

  #askAgain() {
    if (this.#shown && !this.#pictures.includes(this.#shown)) this.#ask([this.#shown]);
    else if (this.#pictures.length) this.#ask(this.#pictures);
    this.loadStats();
  }

  async #checkReady() {
    const state = $("state");
    let reason = "";
    try {
      await this.#gateway.ask("readyz");
      if (this.#isReady === false) this.loadModels(); // it has come back, perhaps with other versions
      this.#isReady = true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#isReady = false;
      reason = [error.body.title, error.body.detail].filter(Boolean).join(": ");
    }
    const [className, text] = this.#isReady ? ["ready", "ready"] : ["down", "not ready"];
    state.className = className;
    if (state.textContent !== text) state.textContent = text;
    $("reason").hidden = this.#isReady;
    $("reason").textContent = reason;
  }

  #offerSamples(labels) {
    const buttons = samplesFor(labels).map((sample) => {
      const button = element("button");
      button.type = "button";
      const image = element("img");
      image.alt = "";
      image.src = `data:${sample.type};base64,${sample.base64}`;
      button.append(image, sample.title);
      button.addEventListener("click", () => this.open([sampleFile(sample)]));
      return button;
    });
    const names = buttons.map((button) => button.textContent).join();
    if ($("samples").dataset.names === names) return; // the focus may be on one of them
    $("samples").dataset.names = names;
    $("samples").replaceChildren($("samples").firstElementChild, ...buttons);
  }

  #listen() {
    for (const id of ["file", "camera"]) {
      $(id).addEventListener("change", () => { this.open([...$(id).files]); $(id).value = ""; });
    }
    $("again").addEventListener("click", () => this.#askAgain());
    $("clear").addEventListener("click", () => this.#history.clear(this.#pictures.concat(this.#shown || [])));
    $("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#gateway.key = $("key").value;
      $("ask").hidden = true;
      this.loadModels();
      this.#askAgain();
    });
    for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
      document.addEventListener(name, (event) => {
        event.preventDefault();
        $("drop").classList.toggle("over", name === "dragenter" || name === "dragover");
      });
    }
    document.addEventListener("drop", (event) => {
      const files = [...event.dataTransfer.files];
      if (files.length) this.open(files);
      else this.#view.problem({ title: "No file in what was dropped", detail: "Save the picture first, then drop the file." });
    });
    document.addEventListener("paste", (event) => this.open([...event.clipboardData.files]));
  }
}

new Page().start();
