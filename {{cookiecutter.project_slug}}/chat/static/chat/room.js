/**
 * The page of a room, live.
 *
 * The page works without this: it shows the messages and has a form. This module opens the socket, shows
 * what comes (log.js), and keeps what was written until it has come back (outbox.js). consumers.py lists
 * the frames.
 */

import { Connection } from "./connection.js";
import { Log } from "./log.js";
import { Outbox } from "./outbox.js";

// What comes back within this time, in milliseconds, was sent at once.
const SENT_AT_ONCE = 1_000;

// A window that missed more pages of messages than this begins anew with the newest ones.
const MOST_MISSED_PAGES = 10;

// How far from the end of the messages, in pixels, still counts as the end.
const NEAR_END = 80;

const byId = (id) => document.getElementById(id);
const { roomUrl, historyUrl, user, siteName } = byId("room").dataset;
const title = document.title;
const refusals = byId("unsent-message").dataset; // a reason -> what the page says, in its language
const scroller = byId("scroller");
const form = byId("composer");
const earlier = byId("earlier");
let isAtEnd = true;
let isSeen = !document.hidden;
let unread = 0;
let missedPages = 0;
let unsentTimer = 0;

const log = new Log(byId("log"), byId("message"), { me: user, site: siteName }, Boolean(earlier));

// No message before this number is missing. Only a sync can say so: a broadcast that came says nothing
// about those that did not.
let complete = log.settled;

const outbox = new Outbox(`unsent messages of ${user} in ${roomUrl}`, {
  send: ({ id, text }) => connection.send({ type: "say", id, text }),
  onChange: showUnsent,
  onLate: () => showState(connection.state),
});

const connection = new Connection(new URL(roomUrl, location.href.replace(/^http/, "ws")), {
  question: () => sync(complete),
  onFrame: (frame) => handlers[frame.type]?.(frame),
  onState: showState,
  verdict,
});

const handlers = {
  message(frame) {
    showMessages([frame]);
  },

  messages(frame) {
    showMessages(frame.messages);
    if (frame.more) return askForMore(frame.messages.at(-1).pk);
    missedPages = 0;
    complete = log.settled;
    const isSignedIn = Boolean(user) && frame.user === user;
    showSignedOut(Boolean(user) && !isSignedIn);
    if (isSignedIn) outbox.start();
  },

  removed(frame) {
    log.remove(frame.pk);
  },

  refused(frame) {
    if (frame.reason === "rate") {
      outbox.delay(frame.id, frame.seconds, refusals.rate);
    } else if (frame.reason === "login") {
      outbox.stop();
      showSignedOut(true);
    } else if (frame.id) {
      outbox.reject(frame.id, refusals[frame.reason] ?? frame.detail);
    }
  },
};

function askForMore(after) {
  missedPages += 1;
  if (missedPages > MOST_MISSED_PAGES) location.reload();
  else connection.send(sync(after));
}

/** Ask for what came after a message, and say whether somebody has been looking since the last time. */
function sync(after) {
  const read = isSeen;
  isSeen = !document.hidden;
  return { type: "sync", after, read };
}

/**
 * Find out why the server did not open a socket: a browser does not tell a page the status of a refusal.
 */
async function verdict() {
  try {
    const answer = await fetch(`${historyUrl}?before=1`, { signal: AbortSignal.timeout(5_000) });
    if (answer.status === 404) return "gone";
    return answer.ok ? "refused" : "down";
  } catch {
    return "down";
  }
}

function showMessages(messages) {
  for (const message of messages) {
    const isMine = user && message.author === user;
    if (isMine) outbox.settle(message.id);
    const isNews = log.put(message) && !isMine;
    if (isNews && document.hidden) unread += 1;
    if (isNews && !isAtEnd) byId("newest").hidden = false;
  }
  document.title = unread ? `(${unread}) ${title}` : title;
}

function showState(state) {
  if (state !== "live" && state !== "waiting") outbox.stop();
  const shown = state === "live" && outbox.isLate ? "waiting" : state;
  byId("state").dataset.state = shown;
  byId("state").textContent = byId("state").dataset[shown];
  byId("retry").hidden = state !== "lost";
  if (form && state === "gone") closeComposer();
}

/** Nothing can be sent any more, but what was typed can still be copied. */
function closeComposer() {
  form.elements.text.readOnly = true;
  form.querySelector("button").disabled = true;
}

function showSignedOut(isSignedOut) {
  const notice = byId("signed-out");
  if (notice) notice.hidden = !isSignedOut;
  document.querySelector(".site nav").hidden = isSignedOut; // it shows a name
}

function showUnsent(items) {
  byId("unsent").replaceChildren(...items.map(unsentItem));
  clearTimeout(unsentTimer);
  if (items.some(isJustWritten)) unsentTimer = setTimeout(() => showUnsent(outbox.items), SENT_AT_ONCE);
}

function isJustWritten({ written, problem, delay }) {
  return !problem && !delay && Date.now() - written < SENT_AT_ONCE;
}

function unsentItem(item) {
  const element = byId("unsent-message").content.cloneNode(true).querySelector("li");
  element.querySelector(".text").textContent = item.text;
  const problem = item.problem ?? item.delay;
  if (problem) element.querySelector(".problem").textContent = problem;
  element.querySelector(".hint").hidden = isJustWritten(item);
  element.classList.toggle("rejected", Boolean(item.problem));
  element.querySelector(".edit").onclick = () => edit(item);
  element.querySelector(".discard").onclick = () => outbox.remove(item.id);
  return element;
}

/** Put a rejected message back where it was written. */
function edit(item) {
  outbox.remove(item.id);
  write(item.text);
  form.elements.text.focus();
}

function write(text) {
  form.elements.text.value = text;
  written();
}

function written() {
  outbox.draft = form.elements.text.value;
  fitComposer();
}

function say(event) {
  event.preventDefault();
  const text = form.elements.text.value.trim();
  if (!text || form.elements.text.readOnly || lengthOf(text) > mostText()) return;
  outbox.add(text);
  write("");
  scrollToEnd();
}

/**
 * Enter sends, Shift and Enter makes a new line. While a word is being composed, Enter ends the word. The keyboard
 * of a phone has no Shift and Enter: there Enter makes a new line, and the button sends.
 */
function sendOnEnter(event) {
  const isComposing = event.isComposing || event.keyCode === 229; // as Safari puts it
  const isPhone = matchMedia("(pointer: coarse)").matches;
  if (event.key !== "Enter" || event.shiftKey || isComposing || isPhone) return;
  event.preventDefault();
  form.requestSubmit();
}

/** Make the field as high as its text, and say how much room is left when it gets tight. */
function fitComposer() {
  const { value, style } = form.elements.text;
  style.height = "auto";
  style.height = `${form.elements.text.scrollHeight + 2}px`;
  const length = lengthOf(value.trim());
  const most = mostText();
  const { words, tooLong } = byId("room-left").dataset;
  const sentence = length > most ? tooLong : length > most - 200 ? words : "";
  form.elements.text.ariaInvalid = length > most;
  byId("room-left").textContent = sentence
    .replace("{number}", length.toLocaleString())
    .replace("{most}", most.toLocaleString());
}

function mostText() {
  return Number(form.elements.text.dataset.most);
}

/** Count characters as the server does: an emoji is one. */
function lengthOf(text) {
  return [...text].length;
}

async function showEarlier(event) {
  event.preventDefault();
  const answer = await fetch(`${historyUrl}?before=${log.first}`).catch(() => null);
  if (!answer?.ok) return; // the link is still there to try again
  const { messages, more } = await answer.json();
  const fromEnd = scroller.scrollHeight - scroller.scrollTop;
  byId("live").ariaLive = "off"; // nobody wants fifty old messages read out
  messages.forEach((message) => log.put(message));
  earlier.hidden = !more;
  scroller.scrollTop = scroller.scrollHeight - fromEnd;
  byId("live").ariaLive = "polite";
}

function scrolled() {
  isAtEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END;
  if (isAtEnd) byId("newest").hidden = true;
}

/** Whoever reads the end goes on reading the end, when messages come or the keyboard of a phone opens. */
function keepAtEnd() {
  if (isAtEnd) scrollToEnd();
}

function scrollToEnd() {
  scroller.scrollTop = scroller.scrollHeight;
}

function looked() {
  if (document.hidden) return connection.ask(); // all until now has been read
  isSeen = true;
  unread = 0;
  document.title = title;
  if (byId("signed-out")?.hidden === false) connection.open(); // signed in again in another window?
  else connection.wake();
}

earlier?.addEventListener("click", showEarlier);
form?.addEventListener("submit", say);
form?.elements.text.addEventListener("keydown", sendOnEnter);
form?.elements.text.addEventListener("input", written);
byId("retry").addEventListener("click", () => connection.wake());
byId("newest").addEventListener("click", scrollToEnd);
scroller.addEventListener("scroll", scrolled);
document.addEventListener("visibilitychange", looked);
addEventListener("pageshow", (event) => event.persisted && connection.wake());

const sizes = new ResizeObserver(keepAtEnd);
[scroller, log.list, byId("unsent")].forEach((element) => sizes.observe(element));

showUnsent(outbox.items);
if (form) write(form.elements.text.value || outbox.draft);
connection.open();
