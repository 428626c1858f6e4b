/**
 * What somebody wrote: a draft, and the messages that have not come back from the server yet.
 *
 * One is under way at a time, so they arrive in the order they were written. Each keeps its id until it has
 * come back: said twice, it is saved once. All survive a reload of the page, and a visit to the login form.
 */

const LATE = 3_000;
const ANSWER_WITHIN = 10_000;

export class Outbox {
  #draft = "";
  #underWay = null;
  #timer = 0;
  #lateTimer = 0;

  /**
   * @param {string} key where they are kept in the session storage: a name per user and room
   * @param {object} page
   * @param {(item: object) => boolean} page.send
   * @param {(items: object[]) => void} page.onChange
   * @param {() => void} page.onLate a message has been under way for three seconds, or is no more: see isLate
   */
  constructor(key, page) {
    this.key = key;
    this.page = page;
    this.items = [];
    this.open = false;
    this.isLate = false;
    this.#restore();
  }

  get draft() {
    return this.#draft;
  }

  set draft(text) {
    this.#draft = text;
    this.#store();
  }

  add(text) {
    this.items.push({ id: newId(), text, written: Date.now() });
    this.#changed();
    this.#sendNext();
  }

  /** The server has it, whoever told us. */
  settle(id) {
    this.remove(id);
    this.#sendNext();
  }

  remove(id) {
    if (!this.items.some((item) => item.id === id)) return;
    if (this.#underWay === id) this.#stopWaiting();
    this.items = this.items.filter((item) => item.id !== id);
    this.#changed();
  }

  /** The server will never take it: keep it in sight, and go on with the others. */
  reject(id, problem) {
    const item = this.items.find((item) => item.id === id);
    if (!item) return;
    item.problem = problem;
    if (this.#underWay === id) this.#stopWaiting();
    this.#changed();
    this.#sendNext();
  }

  /** The server does not take it yet: say why, and send nothing for a while. */
  delay(id, seconds, reason) {
    const item = this.items.find((item) => item.id === id);
    if (!item) return;
    item.delay = reason;
    this.#stopWaiting();
    this.#underWay = id;
    this.#changed();
    this.#timer = this.#wait(seconds * 1000);
  }

  /** There is a connection and a login: send what waits. */
  start() {
    this.open = true;
    this.#sendNext();
  }

  /** There is none. What was under way may have been lost. */
  stop() {
    this.open = false;
    this.#stopWaiting();
  }

  #sendNext() {
    if (!this.open || this.#underWay) return;
    const item = this.items.find((item) => !item.problem);
    if (!item || !this.page.send(item)) return;
    delete item.delay;
    this.#underWay = item.id;
    this.#lateTimer ||= setTimeout(() => this.#becomeLate(true), LATE);
    this.#timer = this.#wait(ANSWER_WITHIN);
  }

  #wait(milliseconds) {
    clearTimeout(this.#timer);
    return setTimeout(() => {
      this.#underWay = null;
      this.#sendNext();
    }, milliseconds);
  }

  #stopWaiting() {
    clearTimeout(this.#timer);
    clearTimeout(this.#lateTimer);
    this.#lateTimer = 0;
    this.#underWay = null;
    if (this.isLate) this.#becomeLate(false);
  }

  #becomeLate(isLate) {
    this.isLate = isLate;
    this.page.onLate();
  }

  #changed() {
    this.#store();
    this.page.onChange(this.items);
  }

  #store() {
    try {
      sessionStorage.setItem(this.key, JSON.stringify({ draft: this.#draft, items: this.items }));
    } catch {
      // No storage, or a full one: all lives as long as the page.
    }
  }

  #restore() {
    try {
      const { draft, items } = JSON.parse(sessionStorage.getItem(this.key));
      this.#draft = draft;
      this.items = items;
    } catch {
      // Nothing has been kept.
    }
  }
}

/** Return a random UUID. (crypto.randomUUID is missing where the page is served without TLS.) */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
