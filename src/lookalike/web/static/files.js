// The files of a site, each fetched once. Runs in the page and in its workers.

import { HostError } from "../contract.js";

const AT_ONCE = 6;

/** The folder of the site: this file is in its web/static/. */
export const SITE = new URL("../../", import.meta.url);

/** @param {string} path below the site's folder @returns {Promise<Response>} */
export async function fetchFile(path) {
  let response;
  try {
    response = await fetch(new URL(path, SITE));
  } catch {
    throw new HostError(
      "unreachable",
      "The site's files cannot be read",
      `${path} could not be loaded. Are you online?`,
    );
  }
  if (response.ok) return response;
  const detail = `${path}: ${response.status} ${response.statusText}. Was the whole folder published?`;
  throw new HostError("failure", "A file of the site is missing", detail);
}

/** @param {string} path */
export async function fetchJson(path) {
  const response = await fetchFile(path);
  try {
    return await response.json();
  } catch {
    throw new HostError("failure", "A file of the site is damaged", `${path} is not JSON`);
  }
}

/** @param {string} path */
export async function fetchBytes(path) {
  const response = await fetchFile(path);
  try {
    return await response.arrayBuffer();
  } catch {
    throw new HostError("unreachable", "The site's files cannot be read", `${path} ended too early`);
  }
}

/** Do some work once, on the first call; a failure is tried again on the next call.
 * @template R @param {() => Promise<R>} work @returns {() => Promise<R>} */
export function once(work) {
  const each = onceEach(work);
  return () => each("");
}

/** The same once for each key; further arguments are passed on.
 * @template R @param {(key: any, ...rest: any[]) => Promise<R>} work
 * @returns {(key: any, ...rest: any[]) => Promise<R>} */
export function onceEach(work) {
  /** @type {Map<any, Promise<R>>} */
  const answers = new Map();
  return (key, ...rest) => {
    const known = answers.get(key);
    if (known) return known;
    const answer = work(key, ...rest);
    answers.set(key, answer);
    answer.catch(() => answers.delete(key));
    return answer;
  };
}

/** Do something for 0 to count - 1, a few at a time. @param {number} count @param {(i: number) => Promise<void>} work */
export async function forEach(count, work) {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, lane));
}
