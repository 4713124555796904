/**
 * Serves the page from its own copy, so that it opens without a network, and asks for isolation from other origins, so
 * that WebAssembly may use several threads wherever the page is hosted. Models are kept by mien itself, not here.
 */

const VERSION = "{{VERSION}}";
const FILES = ["{{FILES}}"];
const PREFIX = "mien-page-";
const CACHE = `${PREFIX}${VERSION}`;
const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

addEventListener("install", (event) => {
  event.waitUntil(fill());
});

addEventListener("activate", (event) => {
  event.waitUntil(take());
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (new URL(registration.scope).pathname === url.pathname || kept.has(url.pathname)) {
    event.respondWith(answer(request, url));
  }
});

const kept = new Set(FILES.map((file) => new URL(file, registration.scope).pathname));

async function fill() {
  const cache = await caches.open(CACHE);
  await Promise.all(
    FILES.map(async (file) => {
      const response = await fetch(new Request(new URL(file, registration.scope), { cache: "no-cache" }));
      if (!response.ok) throw new Error(`${file}: ${response.status}`);
      await cache.put(new URL(file, registration.scope), response);
    }),
  );
  await skipWaiting();
}

async function take() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)));
  await clients.claim();
}

async function answer(request, url) {
  const cache = await caches.open(CACHE);
  const file = url.pathname.endsWith("/") ? new URL("index.html", url) : new URL(url.pathname, url);
  const found = (await cache.match(file)) ?? (await fetch(request));
  const headers = new Headers(found.headers);
  for (const [name, value] of Object.entries(ISOLATED)) headers.set(name, value);
  return new Response(found.body, { status: found.status, statusText: found.statusText, headers });
}
