// Reads the audience's dashboard and shows it. The portal speaks protobuf only, so there is a small
// reader of its wire format here: no library, no build step.

const TYPE = "application/vnd.google.protobuf";
const EVERY_MS = 3000;
const STATES = ["unknown", "registration", "started", "finished"];
const NAMES = { unknown: "…", registration: "Registration", started: "Running", finished: "Over" };

/** Walks over the fields of one message. */
class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  varint() {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new Error("the message ends too early");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    throw new Error("a number is too long");
  }

  chunk(length) {
    const end = this.at + length;
    if (end > this.bytes.length) throw new Error("the message ends too early");
    const chunk = this.bytes.subarray(this.at, end);
    this.at = end;
    return chunk;
  }

  *fields() {
    while (this.at < this.bytes.length) {
      const key = Number(this.varint());
      const wire = key & 7;
      if (wire === 0) yield [key >> 3, this.varint()];
      else if (wire === 1) yield [key >> 3, this.chunk(8)];
      else if (wire === 2) yield [key >> 3, this.chunk(Number(this.varint()))];
      else if (wire === 5) yield [key >> 3, this.chunk(4)];
      else throw new Error(`wire type ${wire} is not known`);
    }
  }
}

const decoder = new TextDecoder();
const text = (bytes) => decoder.decode(bytes);
const number = (value) => Number(value);
const truth = (value) => value !== 0n;

/** Makes a reader of a message from its fields: number -> [name, how to read it, repeated]. */
function message(fields) {
  return (bytes) => {
    const result = {};
    for (const [name, , repeated] of Object.values(fields)) if (repeated) result[name] = [];
    for (const [id, raw] of new Reader(bytes).fields()) {
      const field = fields[id];
      if (!field) continue;
      const [name, read, repeated] = field;
      if (repeated) result[name].push(read(raw));
      else result[name] = read(raw);
    }
    return result;
  };
}

const time = message({ 1: ["seconds", number], 2: ["nanos", number] });
const moment = (bytes) => {
  const { seconds = 0, nanos = 0 } = time(bytes);
  return new Date(seconds * 1000 + nanos / 1e6);
};
const member = message({ 1: ["id", text], 2: ["name", text] });
const team = message({
  1: ["id", number],
  2: ["name", text],
  4: ["members", member, true],
  5: ["student", truth],
});
const item = message({
  1: ["position", number],
  2: ["team", team],
  3: ["best", number],
  4: ["latest", number],
  5: ["bestAt", moment],
  7: ["jobs", number],
});
const contest = message({ 1: ["status", number], 2: ["opensAt", moment], 3: ["endsAt", moment] });
const board = message({
  1: ["teams", item, true],
  2: ["contest", contest],
  3: ["generatedAt", moment],
});
const dashboard = message({ 1: ["leaderboard", board] });

async function read() {
  const reply = await fetch("/api/audience/dashboard", { headers: { "Content-Type": TYPE } });
  if (!reply.ok) throw new Error(`the portal answered ${reply.status}`);
  return dashboard(new Uint8Array(await reply.arrayBuffer())).leaderboard;
}

const byId = (id) => document.getElementById(id);

function cell(value, kind) {
  const cell = document.createElement("td");
  cell.textContent = value;
  if (kind) cell.className = kind;
  return cell;
}

function row({ position, team = {}, best = 0, latest = 0, jobs = 0 }) {
  const row = document.createElement("tr");
  if (jobs > 0) row.className = `place-${position}`;
  const name = cell(team.name ?? "", "name");
  if (team.student) {
    const badge = document.createElement("span");
    badge.className = "badge";
    badge.textContent = "student";
    name.append(badge);
  }
  const members = (team.members ?? []).map((member) => member.name).join(", ");
  row.append(
    cell(position, "number place"),
    name,
    cell(members, "members"),
    cell(jobs > 0 ? best.toLocaleString() : "–", "number best"),
    cell(jobs > 0 ? latest.toLocaleString() : "–", "number"),
    cell(jobs, "number"),
  );
  return row;
}

let last = null;

function show(leaderboard) {
  const rows = leaderboard.teams.map(row);
  if (rows.length === 0) {
    const empty = cell("No team has registered yet.", "empty");
    empty.colSpan = 6;
    const line = document.createElement("tr");
    line.append(empty);
    rows.push(line);
  }
  byId("teams").replaceChildren(...rows);
  const state = STATES[leaderboard.contest?.status ?? 0] ?? "unknown";
  byId("status").textContent = NAMES[state];
  byId("status").dataset.state = state;
  byId("freshness").textContent = `as of ${leaderboard.generatedAt?.toLocaleTimeString() ?? "?"}`;
  byId("freshness").classList.remove("note--late");
  last = leaderboard;
}

function tick() {
  const { opensAt, endsAt } = last?.contest ?? {};
  if (!opensAt || !endsAt) return;
  const left = Math.max(0, endsAt - Date.now());
  const part = (ms, unit, of) => String(Math.floor(ms / unit) % of).padStart(2, "0");
  byId("clock").textContent = [
    part(left, 3600e3, 100),
    part(left, 60e3, 60),
    part(left, 1e3, 60),
  ].join(":");
  byId("progress").value = Math.min(1, 1 - left / (endsAt - opensAt));
}

async function refresh() {
  // A page that nobody looks at loads nothing.
  if (!document.hidden) {
    try {
      show(await read());
    } catch (cause) {
      byId("freshness").textContent = `not up to date: ${cause.message}`;
      byId("freshness").classList.add("note--late");
    }
  }
  setTimeout(refresh, EVERY_MS);
}

setInterval(tick, 1000);
refresh().then(tick);
