/**
 * The list of rooms, live.
 *
 * The page works without this: it shows the rooms as they were when it was loaded. This module opens a socket, on
 * which each frame belongs to a stream: room_list.py lists them. Rooms and what the user has read of them come as
 * they change; a sync brings the page as it is, since a frame may be lost.
 *
 * Text is only ever set as text, never as HTML.
 */

import { Connection } from "./connection.js";

const STATES = { connecting: "Connecting…", live: "Live", lost: "Not connected, trying again", gone: "" };

// The first page holds this many rooms; those that new ones push out are on the next page.
const PAGE_ROOMS = 50;

// Units of time, in seconds, the largest first.
const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60]];

const list = document.getElementById("rooms");
const template = document.getElementById("room");
const state = document.getElementById("list-state");
const page = Number(list.dataset.page);
const { user } = list.dataset;

const rooms = new Map(); // number of a room -> what is known of it
const reads = new Map(); // number of a room -> how many of its messages the user has read
const news = new Set(); // rooms that were heard of since the last sync was asked for
let isSignedIn = Boolean(user);

const connection = new Connection(new URL(list.dataset.url, location.href.replace(/^http/, "ws")), {
  question() {
    news.clear();
    return { stream: "sync", payload: { page } };
  },
  onFrame: ({ stream, payload }) => payload && !payload.error && streams[stream]?.(payload),
  onState: showState,
  verdict,
});

const streams = {
  sync(answer) {
    const pks = new Set(answer.rooms.map((room) => room.pk));
    for (const pk of rooms.keys()) if (!pks.has(pk) && !news.has(pk)) rooms.delete(pk);
    for (const room of answer.rooms) know(room.pk, room.data);
    for (const [pk, said] of Object.entries(answer.reads)) read(Number(pk), said);
    isSignedIn = Boolean(user) && answer.user === user;
    show();
  },

  rooms({ action, pk, data }) {
    if (page > 1 && !rooms.has(pk)) return;
    news.add(pk);
    if (action === "delete") rooms.delete(pk);
    else know(pk, data);
    show();
  },

  reads({ data }) {
    read(data.room, data.said);
    show();
  },
};

/** Keep what is newer: an answer may have been made before a change that has been heard of already. */
function know(pk, data) {
  if (!(rooms.get(pk)?.said > data.said)) rooms.set(pk, data);
}

function read(pk, said) {
  reads.set(pk, Math.max(said, reads.get(pk) ?? 0));
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

function fill(item, pk, { name, url, said, latest }) {
  const unread = isSignedIn ? said - (reads.get(pk) ?? 0) : 0;
  item.dataset.pk = pk;
  item.querySelector("a").href = url;
  item.querySelector("bdi").textContent = name;
  item.querySelector(".number").textContent = unread;
  item.querySelector(".unread").hidden = unread <= 0;
  item.querySelector(".latest").textContent = latest?.text ?? "Nobody has written yet";
  const time = item.querySelector("time");
  time.textContent = latest ? ago(new Date(latest.created)) : "";
  if (latest) time.dateTime = latest.created;
  else time.removeAttribute("datetime");
}

/** Return how long ago something was, in the words of the page's language. */
function ago(time) {
  const seconds = (Date.now() - time) / 1000;
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? UNITS.at(-1);
  return new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "always" }).format(
    -Math.max(0, Math.floor(seconds / size)),
    unit,
  );
}

function showState(name) {
  state.dataset.state = name;
  state.textContent = STATES[name];
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
addEventListener("online", () => connection.wake());
addEventListener("pageshow", (event) => event.persisted && connection.wake());

connection.open();
