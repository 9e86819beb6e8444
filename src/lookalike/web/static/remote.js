// Requests to a worker and their answers, on both sides: the page's and the worker's.

import { HostError } from "../contract.js";

/**
 * Start a worker; returns a function that sends it requests.
 * @param {string} script next to this file @param {(news: any) => void} onNews for messages that answer no request
 * @returns {(method: string, argument: any, signal?: AbortSignal) => Promise<any>}
 */
export function startWorker(script, onNews) {
  const worker = new Worker(new URL(script, import.meta.url), { type: "module" });
  /** @type {Map<number, {resolve: (answer: any) => void, reject: (error: unknown) => void}>} */
  const waiting = new Map();
  let last = 0;

  worker.onmessage = ({ data }) => {
    if (data.news) return onNews(data.news);
    const caller = waiting.get(data.number);
    waiting.delete(data.number);
    if (data.problem) {
      const { kind, title, detail, nearest } = data.problem;
      caller?.reject(new HostError(kind, title, detail, nearest));
    } else caller?.resolve(data.answer);
  };
  worker.onerror = (event) => {
    const error = new HostError("failure", "A script of the site did not start", event.message ?? script);
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  return (method, argument, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const number = ++last;
      waiting.set(number, { resolve, reject });
      // The worker continues, since what it loads will be needed later; the answer is ignored.
      signal?.addEventListener("abort", () => waiting.delete(number) && reject(signal.reason), {
        once: true,
      });
      worker.postMessage({ number, method, argument });
    });
}

/** Answer the page's requests, in a worker. @param {Record<string, (argument: any) => Promise<any>>} methods */
export function answerPage(methods) {
  addEventListener("message", async ({ data: { number, method, argument } }) => {
    try {
      postMessage({ number, answer: await methods[method](argument) });
    } catch (error) {
      postMessage({ number, problem: problemOf(error) });
    }
  });
}

/** @param {unknown} error */
function problemOf(error) {
  if (!(error instanceof HostError))
    return { kind: "failure", title: "That did not work", detail: String(error) };
  const { kind, title, detail, nearest } = error;
  return { kind, title, detail, nearest };
}
