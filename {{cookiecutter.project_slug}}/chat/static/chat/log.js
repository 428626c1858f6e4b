/**
 * The messages on the page, each once, in the order of their numbers.
 *
 * They come in three ways, and some come twice: with the page, as broadcasts, in the answer to a sync. The
 * number of a message says whether it is here already and where it belongs.
 *
 * Text is only ever set as text, never as HTML.
 */

// Two messages of one author within this time share a heading.
const SAME_BREATH = 5 * 60_000;

// A sync asks again for these many messages, as long as they have come within this time: a message may
// be committed after one with a higher number.
const OVERLAP = 20;
const SETTLED_AFTER = 60_000;

export class Log {
  #items = new Map(); // number of the message -> <li>
  #removed = new Set(); // numbers of messages that may still come in an answer made before their end

  /**
   * @param {HTMLElement} list the <ol>, with the messages that came with the page
   * @param {HTMLTemplateElement} template an empty message
   * @param {object} names
   * @param {string} names.me the name of the user, "" for nobody
   * @param {string} names.site the name of the site, which speaks where a message has no author
   * @param {boolean} hasEarlier whether there are messages before those on the page
   */
  constructor(list, template, names, hasEarlier) {
    this.list = list;
    this.template = template;
    this.names = names;
    for (const item of list.children) this.#adopt(item);
    this.start = hasEarlier ? this.first - 1 : 0;
  }

  /** The number of the first message on the page, 0 when there is none. */
  get first() {
    return pkOf(this.list.firstElementChild);
  }

  /** The number of a message so old that none before it can still be on its way. */
  get settled() {
    const now = performance.now();
    let item = this.list.lastElementChild;
    let settled = item;
    for (let count = 0; item && count < OVERLAP; count++) {
      const isRecent = now - item.arrived < SETTLED_AFTER;
      item = item.previousElementSibling;
      if (isRecent) settled = item;
    }
    return Math.max(this.start, pkOf(settled));
  }

  /** Show a message; return whether it is new on the page. */
  put(message) {
    if (this.#removed.has(message.pk)) return false;
    const known = this.#items.get(message.pk);
    if (known) {
      known.querySelector(".text").textContent = message.text;
      return false;
    }
    const item = this.#make(message);
    this.list.insertBefore(item, this.#successor(message.pk));
    this.#adopt(item);
    this.#group(item.nextElementSibling);
    return true;
  }

  remove(pk) {
    this.#removed.add(pk);
    const item = this.#items.get(pk);
    if (!item) return;
    const next = item.nextElementSibling;
    item.remove();
    this.#items.delete(pk);
    this.#group(next);
  }

  #make(message) {
    const item = this.template.content.cloneNode(true).querySelector("li");
    item.dataset.pk = message.pk;
    item.dataset.author = message.author ?? "";
    item.querySelector(".author").textContent = message.author ?? this.names.site;
    item.querySelector("time").dateTime = message.created;
    item.querySelector(".text").textContent = message.text;
    return item;
  }

  #adopt(item) {
    this.#items.set(pkOf(item), item);
    item.arrived = performance.now();
    item.classList.toggle("from-site", item.dataset.author === "");
    item.classList.toggle("mine", item.dataset.author !== "" && item.dataset.author === this.names.me);
    showTime(item.querySelector("time"));
    this.#group(item);
  }

  /** Find the first message after a number. New messages come last, so look from the end. */
  #successor(pk) {
    let successor = null;
    let item = this.list.lastElementChild;
    while (item && pkOf(item) > pk) {
      successor = item;
      item = item.previousElementSibling;
    }
    return successor;
  }

  /** Hide the heading of a message that follows another by the same author at once. */
  #group(item) {
    const previous = item?.previousElementSibling;
    item?.classList.toggle(
      "follows",
      Boolean(previous) &&
        previous.dataset.author === item.dataset.author &&
        timeOf(item) - timeOf(previous) < SAME_BREATH,
    );
  }
}

function pkOf(item) {
  return Number(item?.dataset.pk ?? 0);
}

function timeOf(item) {
  return new Date(item.querySelector("time").dateTime);
}

/** Show a time where the reader is: the hour for today, the day as well for earlier. */
function showTime(element) {
  const time = new Date(element.dateTime);
  const isToday = time.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { day: "numeric", month: "short" };
  element.textContent = time.toLocaleString([], { ...day, hour: "2-digit", minute: "2-digit" });
  element.title = time.toLocaleString();
}
