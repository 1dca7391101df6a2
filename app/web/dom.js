"use strict";
// Small helpers; every script of the page shares one scope, in the order that index.html names.

const $ = (id) => document.getElementById(id);

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const milliseconds = (value) =>
  typeof value === "number" ? `${value < 10 ? value.toFixed(1) : Math.round(value)} ms` : "\u2013";
const percent = (probability) => `${(100 * probability).toFixed(1)} %`;
const bytes = (size) => (size < 1e6 ? `${Math.ceil(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`);

/** For screen readers: said once, after what they are saying. */
const announce = (text) => { $("announce").textContent = text; };

/** Run `work` now and again `seconds()` after its end; not while the tab is hidden. */
function repeat(work, seconds) {
  let timer;
  let running = false;
  async function turn() {
    clearTimeout(timer);
    if (running || document.hidden) return;
    running = true;
    await work();
    running = false;
    timer = setTimeout(turn, 1000 * seconds());
  }
  document.addEventListener("visibilitychange", turn);
  turn();
  return turn;
}
