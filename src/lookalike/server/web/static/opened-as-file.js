// No module: browsers load none from a file:// address, nor anything else beside the page. So this says why
// the page stays empty.
if (location.protocol === "file:") {
  const message = document.createElement("p");
  message.id = "opened-as-file";
  message.textContent =
    "A browser reads no files beside a page that is opened as a file. In the folder of this page, run " +
    "“python -m http.server”, and open http://localhost:8000/";
  document.body.prepend(message);
}
