"""The script that a page includes to report events: `flyball("view", {visitor: 7, item: "toys-04"})`.

It sends by fetch with keepalive, which outlives the page as sendBeacon of the navigator does. The latter cannot send an
Authorization header, a key in the URL would be in logs, and for a Blob of type application/json a browser asks for
permission first (a preflight request) all the same, with credentials, which this service never allows. Each event has
an id, made once, so that it counts once even if it is sent again; what could not be sent is sent with the next event.

A browser refuses to send more than 64 KiB with keepalive, in all requests of a page that are under way, as if there
were no network (https://fetch.spec.whatwg.org/#http-network-or-cache-fetch). So a batch ends before `m` bytes, what
does not fit beside what is under way is sent without keepalive, and a single event that is longer is dropped, which the
console says.
"""

SNIPPET = r"""(function (d) {
  var s = d.currentScript, u = s.src.replace(/snippet\.js.*/, "events"), k = s.dataset.key, q = [], m = 60000, away = 0;
  function id() { return crypto.getRandomValues(new Uint32Array(4)).join("-"); }
  function send() {
    var b = [], n = 2, h = { "content-type": "application/json" };
    while (q.length && b.length < 50 && n + q[0].n <= m) { n += q[0].n; b.push(q.shift()); }
    if (!b.length) return Promise.resolve(0);
    function done(keep) { away -= n; if (keep) q = b.concat(q).slice(0, 500); else if (q.length) send(); }
    if (k) h.authorization = "Bearer " + k;
    away += n;
    return fetch(u, { method: "POST", keepalive: away <= m, headers: h,
      body: "[" + b.map(function (e) { return e.t; }).join(",") + "]" }).then(
      function (r) { done(r.status == 429 || r.status > 499); return r.status; },
      function () { done(true); return 0; });
  }
  window.flyball = function (type, fields) {
    var t = JSON.stringify(Object.assign({ type: type, id: id() }, fields));
    var e = { t: t, n: new TextEncoder().encode(t).length + 1 };
    if (e.n + 2 > m) console.error("flyball: an event must have at most " + m + " bytes, got " + e.n + ": dropped");
    else q.push(e);
    return send();
  };
  addEventListener("pagehide", send);
})(document);
"""
