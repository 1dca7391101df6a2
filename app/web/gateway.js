"use strict";
// The gateway's HTTP API. Every failure is thrown as a Problem, whose body is as in RFC 9457.

class Problem extends Error {
  constructor(body, requestId) {
    super(body.title);
    this.body = body;
    this.requestId = requestId;
  }
}

const FORM_BYTES_PER_FILE = 1024; // boundary, headers and name of one part

class Gateway {
  constructor(limits) {
    this.maxBodyBytes = Number(limits.maxBodyBytes) || 20e6;
    this.maxBatchFiles = Number(limits.maxBatchFiles) || 32;
    this.maxBatchBodyBytes = Number(limits.maxBatchBodyBytes) || 100e6;
    this.onUnauthorized = () => {};
    /** In memory only: it is asked for again with the next load of the page. */
    this.key = "";
  }

  /** The answer's JSON, and its milliseconds on the way. */
  async ask(path, options = {}) {
    const key = this.key;
    const headers = key ? { "X-API-Key": key } : {};
    let response;
    let body;
    const start = performance.now();
    try {
      response = await fetch(path, { cache: "no-store", ...options, headers });
      body = await response.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(response
        ? { status: response.status, title: "No readable answer", detail: "What came was no JSON; is there a proxy in between?" }
        : { title: "No answer", detail: navigator.onLine === false
          ? "This device is offline." : "The gateway cannot be reached. Is it still running?" });
    }
    if (!response.ok) {
      if (response.status === 401 && key === this.key) this.onUnauthorized(); // not of an older key
      throw new Problem(body, response.headers.get("X-Request-Id"));
    }
    return { body, roundTrip: performance.now() - start };
  }

  classify(file, query, signal) {
    return this.#upload("classify", "file", [file], query, signal);
  }

  classifyBatch(files, query, signal) {
    return this.#upload("classify/batch", "files", files, query, signal);
  }

  #upload(path, field, files, query, signal) {
    const form = new FormData();
    for (const file of files) form.append(field, file, file.name);
    return this.ask(`${path}${query && `?${query}`}`, { method: "POST", body: form, signal });
  }

  /** Pictures in groups that each fit into one batch request; small ones, so that answers come early. */
  chunks(pictures, most = 8) {
    const groups = [];
    let size = Infinity;
    for (const picture of pictures) {
      const more = picture.file.size + FORM_BYTES_PER_FILE;
      const isFull = groups.length && groups.at(-1).length >= Math.min(most, this.maxBatchFiles);
      if (isFull || size + more > this.maxBatchBodyBytes) {
        groups.push([]);
        size = 0;
      }
      groups.at(-1).push(picture);
      size += more;
    }
    return groups;
  }
}
