/**
 * A WebSocket that notices when it is dead, and comes back.
 *
 * The states, in words a page can show:
 *
 *     connecting   the first socket is being opened
 *     live         the server has answered
 *     waiting      it has not answered for three seconds
 *     lost         the socket is gone, and others are being tried
 *     gone         refused for good: nothing is tried any more
 *
 * A link can die without a word, on a phone that leaves the Wi-Fi or a laptop that wakes up. So the
 * connection asks something every 20 seconds, says after three that there is no answer, and gives up on the
 * socket after ten. What the browser knows of the network is heeded at once.
 */

const HEARTBEAT = 20_000;
const LATE = 3_000;
const ANSWER_WITHIN = 10_000;
const FIRST_RETRY = 1_000;
const LAST_RETRY = 30_000;

// How a server closes a socket: 1008 you broke a rule, 1013 too busy now, 4404 no such room any more.
const SLOW_DOWN = new Set([1008, 1013]);
const GONE = 4404;

/**
 * Return the milliseconds to wait before the next attempt, counted from 0.
 *
 * Any moment of a span that doubles each time ("full jitter"): when a server comes back, its thousand
 * browsers do not all arrive at once.
 */
export function retryDelay(attempt, random = Math.random) {
  return random() * Math.min(LAST_RETRY, FIRST_RETRY * 2 ** attempt);
}

export class Connection {
  #socket = null;
  #attempt = 0;
  #timers = { retry: 0, heartbeat: 0, late: 0, answer: 0 };

  /**
   * @param {string} url
   * @param {object} page
   * @param {() => object} page.question what to ask on connecting and as a heartbeat
   * @param {(frame: object) => void} page.onFrame
   * @param {(state: string) => void} page.onState
   * @param {() => Promise<string>} page.verdict why no socket could be opened: "down", "refused" or "gone"
   */
  constructor(url, page) {
    this.url = url;
    this.page = page;
    this.state = "";
    addEventListener("online", () => this.wake());
    addEventListener("offline", () => this.#socket && this.#lost());
  }

  open() {
    this.#drop();
    if (this.state !== "lost") this.#become("connecting");
    const socket = new WebSocket(this.url);
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.ask();
    };
    socket.onmessage = (event) => this.#heard(JSON.parse(event.data));
    socket.onclose = (event) => this.#lost(event.code, opened);
    this.#socket = socket;
    this.#expectAnswer();
  }

  /** Send a frame; return whether there was a socket to take it. */
  send(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    this.#expectAnswer();
    return true;
  }

  /** Ask now, and again after a while. */
  ask() {
    clearTimeout(this.#timers.heartbeat);
    this.#timers.heartbeat = setTimeout(() => this.ask(), HEARTBEAT);
    this.send(this.page.question());
  }

  /** Somebody looks at the page, or the network is back: do not wait any longer. */
  wake() {
    if (this.state === "lost" && !this.#socket) this.open();
    else if (this.state === "live" || this.state === "waiting") this.ask();
  }

  #become(state) {
    this.state = state;
    this.page.onState(state);
  }

  #heard(frame) {
    this.#stopExpecting();
    this.#attempt = 0;
    if (this.state !== "live") this.#become("live");
    this.page.onFrame(frame);
  }

  #expectAnswer() {
    this.#timers.late ||= setTimeout(() => this.state === "live" && this.#become("waiting"), LATE);
    this.#timers.answer ||= setTimeout(() => this.#lost(), ANSWER_WITHIN);
  }

  #stopExpecting() {
    clearTimeout(this.#timers.late);
    clearTimeout(this.#timers.answer);
    this.#timers.late = this.#timers.answer = 0;
  }

  async #lost(code, opened = true) {
    this.#drop();
    if (code === GONE) return this.#become("gone");
    this.#become("lost");
    const verdict = opened ? "" : await this.page.verdict();
    if (this.#socket) return; // woken up meanwhile
    if (verdict === "gone") return this.#become("gone");
    if (verdict === "refused" || SLOW_DOWN.has(code)) this.#attempt = Math.max(this.#attempt, 5);
    this.#timers.retry = setTimeout(() => this.open(), retryDelay(this.#attempt++));
  }

  /** Forget the socket at once: a dead one would take minutes to notice that it was closed. */
  #drop() {
    this.#stopExpecting();
    clearTimeout(this.#timers.heartbeat);
    clearTimeout(this.#timers.retry);
    if (!this.#socket) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }
}
