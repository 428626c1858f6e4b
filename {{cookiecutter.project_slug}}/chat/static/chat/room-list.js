/**
 * The list of rooms, live.
 *
 * The page works without this: it shows the rooms as they were when it was loaded. This module opens a socket, on
 * which each frame belongs to a stream: room_list.py lists them. Rooms, messages and what the user has read come as
 * they are saved, and the page counts; a sync brings the page as it is, since a frame may be lost.
 *
 * Text is only ever set as text, never as HTML.
 */

import { Connection } from "./connection.js";

// The first page holds this many rooms; those that new ones push out are on the next page.
const PAGE_ROOMS = 50;

// What is above this number is shown as "99+".
const MOST_UNREAD = 99;

// A message of a room that this page does not have is asked for within this time, in milliseconds: not by all at once.
const LOOK_WITHIN = 2_000;

// Units of time, in seconds, the largest first.
const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60]];

const list = document.getElementById("rooms");
const template = document.getElementById("room");
const state = document.getElementById("list-state");
const page = Number(list.dataset.page);
const { user } = list.dataset;

const rooms = new Map(); // number of a room -> what is known of it, see roomOf
const reads = new Map(); // number of a room -> number of its newest message that the user has read, if that was heard
const gone = new Set(); // rooms that may still come in an answer made before their end
let asked = 0; // how many syncs: what is heard after the last one may be missing in its answer
let isAnswered = false;
let isSignedIn = Boolean(user);
let looking = 0;

const connection = new Connection(new URL(list.dataset.url, location.href.replace(/^http/, "ws")), {
  question() {
    asked += 1;
    return { stream: "sync", payload: { page } };
  },
  onFrame({ stream, payload }) {
    if (!payload || payload.error) return;
    streams[stream]?.(payload);
    if (isAnswered) show();
  },
  onState: showState,
  verdict,
});

const streams = {
  sync(answer) {
    const before = new Map(rooms);
    for (const [pk, room] of before) if (room.heard !== asked) rooms.delete(pk);
    for (const { pk, ...room } of answer.rooms) if (!gone.has(pk)) rooms.set(pk, roomOf(room, before.get(pk)));
    const wasSignedIn = isAnswered && isSignedIn;
    isSignedIn = Boolean(user) && String(answer.user) === user;
    if (wasSignedIn && !isSignedIn) location.reload(); // the page shows a name
    isAnswered = true;
  },

  rooms({ action, pk, data }) {
    if (action === "delete") {
      gone.add(pk);
      rooms.delete(pk);
    } else if (rooms.has(pk) || (action === "create" && page === 1)) {
      const room = rooms.get(pk) ?? roomOf({ latest: null, unread: 0 });
      rooms.set(pk, { ...room, name: data.name, url: data.get_absolute_url, heard: asked });
    }
  },

  messages({ action, pk, data }) {
    const room = rooms.get(data.room);
    if (!room) return action === "create" && page === 1 && lookSoon();
    if (action === "create" && String(data.author) !== user) room.later.set(pk, asked);
    if (action === "delete") room.later.delete(pk);
    const text = action === "delete" ? list.dataset.deleted : data.text;
    const isLatest = action === "delete" ? room.latest?.pk === pk : !(room.latest?.pk > pk);
    if (isLatest) room.latest = { pk, text, created: data.created, heard: asked };
  },

  reads({ data }) {
    reads.set(data.room, Math.max(data.message, reads.get(data.room) ?? 0));
  },
};

/** Make a room of what an answer says of it, and of what was heard of it since that was asked for. */
function roomOf(answered, known) {
  const counted = answered.latest?.pk ?? 0; // "unread" counts up to this message, "later" has what comes after it
  const later = new Map([...(known?.later ?? [])].filter(([pk, heard]) => heard === asked && pk > counted));
  const room = { ...answered, counted, later };
  if (known?.latest?.heard === asked && known.latest.pk >= counted) room.latest = known.latest;
  return known?.heard === asked ? { ...room, name: known.name, url: known.url, heard: asked } : room;
}

function unreadOf(pk, { unread, counted, later }) {
  if (!isSignedIn) return 0;
  const read = reads.get(pk) ?? 0;
  return (counted > read ? unread : 0) + [...later.keys()].filter((message) => message > Math.max(counted, read)).length;
}

function lookSoon() {
  looking ||= setTimeout(() => {
    looking = 0;
    connection.ask();
  }, Math.random() * LOOK_WITHIN);
}

function show() {
  const newest = ([pk, room], [otherPk, other]) => (other.latest?.pk ?? 0) - (room.latest?.pk ?? 0) || otherPk - pk;
  const shown = [...rooms].sort(newest).slice(0, PAGE_ROOMS);
  const items = new Map(Array.from(list.children, (item) => [Number(item.dataset.pk), item]));
  const pks = new Set(shown.map(([pk]) => pk));
  for (const [pk, item] of items) if (!pks.has(pk) && (pk || shown.length)) item.remove();
  shown.forEach(([pk, room], place) => {
    const item = items.get(pk) ?? template.content.cloneNode(true).querySelector("li");
    fill(item, pk, room);
    // What stands in its place is not touched: it may have the focus.
    if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
  });
}

function fill(item, pk, room) {
  const { name, url, latest } = room;
  const unread = unreadOf(pk, room);
  item.dataset.pk = pk;
  item.querySelector("a").href = url;
  item.querySelector("bdi").textContent = name;
  item.querySelector(".number").textContent = unread > MOST_UNREAD ? `${MOST_UNREAD}+` : unread;
  item.querySelector(".unread").hidden = !unread;
  item.querySelector(".latest").textContent = latest?.text ?? list.dataset.empty;
  const time = item.querySelector("time");
  time.textContent = latest ? ago(new Date(latest.created)) : "";
  if (latest) time.dateTime = latest.created;
  else time.removeAttribute("datetime");
}

/** Return how long ago something was, in the words of the page's language. */
function ago(time) {
  const seconds = (Date.now() - time) / 1000;
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? ["second", Infinity]; // "now"
  return new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: size === Infinity ? "auto" : "always" }).format(
    -Math.max(0, Math.floor(seconds / size)),
    unit,
  );
}

function showState(name) {
  state.dataset.state = name;
  state.textContent = state.dataset[name] ?? "";
}

/** Find out why the server did not open a socket: a browser does not tell a page the status of a refusal. */
async function verdict() {
  try {
    const answer = await fetch(list.dataset.url, { signal: AbortSignal.timeout(5_000) });
    return answer.ok ? "refused" : "down";
  } catch {
    return "down";
  }
}

document.addEventListener("visibilitychange", () => document.hidden || connection.wake());
addEventListener("pageshow", (event) => event.persisted && connection.wake());

connection.open();
