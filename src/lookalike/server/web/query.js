// The bar: the picture that is searched for, and the ways to bring one - choose, drop, paste.

/** @typedef {{picture: string | Blob, name: string, title?: string}} Chip */

/**
 * @param {(id: string) => HTMLElement} find the page's elements, by id
 * @param {{onFile: (file: File) => void, onClear: () => void}} options
 */
export function createQueryBar(find, { onFile, onClear }) {
  const picture = /** @type {HTMLImageElement} */ (find("chip-picture"));
  const file = /** @type {HTMLInputElement} */ (find("file"));
  let objectUrl = "";

  find("clear").addEventListener("click", onClear);
  find("choose").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files?.[0]) onFile(file.files[0]);
    file.value = ""; // so that the same file can be chosen again
  });
  addEventListener("paste", (event) => take(event.clipboardData));
  acceptDrops(find("drop"), take);

  /** @param {DataTransfer | null} data */
  function take(data) {
    const files = [...(data?.files ?? [])];
    const best = files.find((one) => one.type.startsWith("image/")) ?? files[0];
    if (best) onFile(best);
  }

  return {
    /** Show what is searched for; null is nothing. @param {Chip | null} chip */
    show(chip) {
      URL.revokeObjectURL(objectUrl);
      objectUrl = chip?.picture instanceof Blob ? URL.createObjectURL(chip.picture) : "";
      find("chip").hidden = !chip;
      if (!chip) {
        picture.removeAttribute("src");
        return;
      }
      picture.src = objectUrl || String(chip.picture);
      find("chip-name").textContent = chip.name;
      find("chip").title = chip.title ?? chip.name;
    },
    choose: () => file.click(),
  };
}

/**
 * Take files that are dropped anywhere on the page.
 * @param {HTMLElement} overlay shown while files are dragged
 * @param {(data: DataTransfer | null) => void} take
 */
function acceptDrops(overlay, take) {
  // The page's own pictures can be dragged too, out of it; back in, they are no query.
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
