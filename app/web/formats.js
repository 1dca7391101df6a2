"use strict";
// What browsers and cameras make and the gateway does not read, known by the first bytes.

const UNREAD_BRANDS = {
  heic: "HEIC", heix: "HEIC", hevc: "HEIC", heim: "HEIC", heis: "HEIC", hevx: "HEIC", mif1: "HEIF", msf1: "HEIF",
  avif: "AVIF", avis: "AVIF", "qt  ": "QuickTime video", isom: "MP4 video", mp42: "MP4 video", "crx ": "Canon raw",
};
const UNREAD_STARTS = [
  ["%PDF-", "PDF"], ["8BPS", "Photoshop"], ["<svg", "SVG"], ["\xFF\x0A", "JPEG XL"],
  ["\0\0\0\x0CJXL ", "JPEG XL"], ["PK\x03\x04", "ZIP"], ["\0\0\0\x0CjP  ", "JPEG 2000"],
];
const UNREAD_SUFFIX = /\.(cr2|cr3|nef|arw|dng|orf|rw2|raf)$/i;

/** The name of a format that the gateway certainly does not read, else null. */
async function unreadFormat(file) {
  let start;
  try {
    start = String.fromCharCode(...new Uint8Array(await file.slice(0, 12).arrayBuffer()));
  } catch {
    return null; // a folder, or gone: the upload will say so
  }
  if (start.slice(4, 8) === "ftyp") return UNREAD_BRANDS[start.slice(8, 12)] || null;
  const known = UNREAD_STARTS.find(([magic]) => start.startsWith(magic));
  if (known) return known[1];
  return UNREAD_SUFFIX.test(file.name) ? "camera raw" : null;
}

/** A problem that is sure before anything is sent, else null. */
async function problemBefore(file, maxBytes) {
  if (file.size > maxBytes) {
    return { status: 413, title: "The picture is too large",
      detail: `It has ${bytes(file.size)}; this gateway takes ${bytes(maxBytes)}. Save it smaller, or as JPEG.` };
  }
  if (!file.size) return { title: "The file is empty", detail: "It has no bytes; a folder looks like this too." };
  const format = await unreadFormat(file);
  return format && { status: 415, title: `${format} is not read here`,
    detail: "Convert it to JPEG or PNG and choose that file. Nothing was sent." };
}
