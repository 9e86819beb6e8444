// Opens the networks of a site: onnxruntime-web, and files that are checked before they are used.

import { HostError } from "../contract.js";
import { fetchBytes, once, SITE } from "./files.js";

const loadRuntime = once(async () => {
  const script = new URL("model/onnxruntime.js", SITE).href;
  const [runtime, wasm] = await Promise.all([import(script), fetchBytes("model/onnxruntime.wasm")]);
  runtime.env.wasm.wasmPaths = { mjs: new URL("model/onnxruntime-wasm.js", SITE).href };
  runtime.env.wasm.wasmBinary = wasm;
  runtime.env.wasm.numThreads = 1; // more threads need headers that a plain web host does not send
  return runtime;
});

/** Load a network. @param {string} file @param {string} sha256 @returns {Promise<{runtime: any, session: any}>} */
export async function openNetwork(file, sha256) {
  const [runtime, bytes] = await Promise.all([loadRuntime(), fetchChecked(file, sha256)]);
  const options = { executionProviders: ["wasm"], logSeverityLevel: 3 }; // errors, not what others' files leave unused
  const session = await runtime.InferenceSession.create(bytes, options);
  return { runtime, session };
}

/** The bytes of a model's file: others would give vectors that mean nothing here.
 * @param {string} file @param {string} sha256 */
export async function fetchChecked(file, sha256) {
  const bytes = await fetchBytes(file);
  if (!crypto.subtle) return bytes; // exists only over HTTPS and on localhost
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found === sha256) return bytes;
  const detail = "Its file is damaged, or has another version than the collection. Export the site again.";
  throw new HostError("other-model", "The model is not the one that made this collection", detail);
}
