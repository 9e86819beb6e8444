// The pictures that were searched by, kept in this browser so that their addresses work again.

import { newKey } from "./state.js";

const LIMIT = 40;
/** Where there is no database, as in some private windows, they last as long as the page. */
const memory = new Map();

/** Keep a picture. @param {Blob} blob @returns {Promise<string>} its key */
export async function keep(blob) {
  const key = newKey();
  memory.set(key, blob);
  try {
    const store = await open("readwrite");
    await done(store.put({ key, blob, time: Date.now() }));
    const all = await done(store.index("time").getAllKeys());
    await Promise.all(all.slice(0, -LIMIT).map((old) => done(store.delete(old))));
  } catch {
    // Kept in memory all the same.
  }
  return key;
}

/**
 * The picture of a key, where this browser has it.
 * @param {string} key @returns {Promise<Blob | undefined>}
 */
export async function find(key) {
  if (memory.has(key)) return memory.get(key);
  try {
    return (await done((await open("readonly")).get(key)))?.blob;
  } catch {
    return undefined;
  }
}

/** @param {IDBTransactionMode} mode */
async function open(mode) {
  const opening = indexedDB.open("lookalike", 1);
  opening.onupgradeneeded = () =>
    opening.result.createObjectStore("uploads", { keyPath: "key" }).createIndex("time", "time");
  const database = await done(opening);
  const transaction = database.transaction("uploads", mode);
  transaction.oncomplete = transaction.onabort = () => database.close();
  return transaction.objectStore("uploads");
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
