// Not a module, because browsers load none from a file:// address, nor other files next to the page. This explains
// why the page stays empty.
if (location.protocol === "file:") {
  const title = document.createElement("h1");
  title.textContent = "This page needs a web server";
  const text = document.createElement("p");
  text.textContent =
    "Opened as a file, it may not read the files next to it. Any server will do: in this folder, run " +
    "“python -m http.server”, and open http://localhost:8000/";
  const message = /** @type {HTMLElement} */ (document.getElementById("message"));
  message.replaceChildren(title, text);
  message.hidden = false;
}
