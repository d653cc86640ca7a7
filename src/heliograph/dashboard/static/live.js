// Keeps the page true while it is open: asks for the live part once a second, and replaces only what differs.
// Nothing is asked for in a hidden tab. When the server does not answer, the last values stay and say how old they are.
"use strict";
(() => {
  const main = document.getElementById("main");
  const status = document.getElementById("status");
  const word = document.getElementById("word");
  const hold = document.getElementById("hold");
  const served = new Map();
  let tag = "";
  let still = false;
  let seen = new Date();

  const clock = (at) => at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

  function tellTimes() {
    for (const time of main.querySelectorAll("time")) {
      const at = new Date(time.dateTime);
      const age = Math.max(0, (Date.now() - at) / 1000);
      time.title = at.toLocaleString();
      const text = age < 1.5 ? "now" : age < 60 ? `${Math.floor(age)} s ago` : age < 3600 ? `${Math.floor(age / 60)} m ago`
        : at.toDateString() === new Date().toDateString() ? clock(at) : at.toLocaleDateString([], { day: "numeric", month: "short" });
      if (time.textContent !== text) time.textContent = text;
    }
  }

  function swap(before, after) {
    if (served.get(after.id) === after.outerHTML) return before;
    served.set(after.id, after.outerHTML);
    const fresh = document.importNode(after, true);
    before.replaceWith(fresh);
    return fresh;
  }

  function rows(before, after) {
    const body = before.querySelector("tbody");
    let next = body.firstElementChild;
    const kept = new Set();
    for (const row of after.querySelectorAll("tbody > tr")) {
      kept.add(row.id);
      const old = document.getElementById(row.id);
      if (!old) {
        served.set(row.id, row.outerHTML);
        body.insertBefore(document.importNode(row, true), next);
      } else {
        next = swap(old, row).nextElementSibling;
      }
    }
    for (const row of [...body.children]) if (!kept.has(row.id)) { served.delete(row.id); row.remove(); }
  }

  function show(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html").body;
    const ids = new Set([...fresh.children].map((part) => part.id));
    for (const part of [...main.children]) if (!ids.has(part.id)) part.remove();
    for (const part of fresh.children) {
      const old = document.getElementById(part.id);
      if (!old) main.append(document.importNode(part, true));
      else if (part.dataset.rows !== undefined) rows(old, part);
      else swap(old, part);
    }
    tellTimes();
  }

  function say(state) {
    status.dataset.state = state;
    word.textContent = state === "away" ? `as of ${clock(seen)}, reconnecting` : state === "still" ? `held at ${clock(seen)}` : "live";
  }

  async function refresh() {
    if (document.hidden || still) return;
    try {
      const answer = await fetch("/live", { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
      if (still) return;
      if (answer.status === 401) return location.reload();
      if (answer.status === 200) { tag = answer.headers.get("ETag") || ""; show(await answer.text()); }
      else if (answer.status !== 304) throw new Error(answer.statusText);
      seen = new Date();
      say("live");
    } catch { if (!still) say("away"); }
  }

  hold.hidden = false;
  hold.addEventListener("click", () => {
    still = !still;
    hold.textContent = still ? "Go on" : "Hold still";
    say(still ? "still" : "live");
    refresh();
  });
  tellTimes();
  setInterval(() => { tellTimes(); refresh(); }, 1000);
})();
