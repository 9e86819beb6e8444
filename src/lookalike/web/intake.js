// The ways to add a picture: choose, drop, paste.

import { find } from "./dom.js";

/** Call back with each picture that the user adds. @param {(file: File) => void} onFile */
export function createIntake(onFile) {
  const file = /** @type {HTMLInputElement} */ (find("file"));
  file.addEventListener("change", () => {
    if (file.files?.[0]) onFile(file.files[0]);
    file.value = ""; // so that the same file can be chosen again
  });
  find("choose").addEventListener("click", () => file.click());
  addEventListener("paste", (event) => take(event.clipboardData));
  acceptDrops(find("drop"), take);

  /** @param {DataTransfer | null} data */
  function take(data) {
    const files = [...(data?.files ?? [])];
    const best = files.find((one) => one.type.startsWith("image/")) ?? files[0];
    if (best) onFile(best);
  }
}

/**
 * Accept files dropped anywhere on the page.
 * @param {HTMLElement} overlay shown while files are dragged
 * @param {(data: DataTransfer | null) => void} take
 */
function acceptDrops(overlay, take) {
  // The page's own pictures can be dragged out too; dropped back in, they are not a query.
  let isOwn = false;
  const hasFiles = (/** @type {DragEvent} */ event) =>
    !isOwn && Boolean(event.dataTransfer?.types.includes("Files"));

  addEventListener("dragstart", () => (isOwn = true));
  addEventListener("dragend", () => (isOwn = false));
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    overlay.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) overlay.hidden = true;
  });
  addEventListener("drop", (event) => {
    overlay.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    take(event.dataTransfer);
  });
}
