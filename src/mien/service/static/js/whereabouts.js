/** Says where the pictures go: nowhere, or no further than the host that this page comes from. */

import { at } from "./dom.js";

const LOCAL = /^(localhost|127(\.\d+){3}|\[::1\]|.+\.localhost)$/;

export function tellWhereabouts({ hostname, host } = location, place = "server") {
  const [short, long, details, camera] = place === "device" ? onDevice() : onServer(hostname, host);
  at("where-short").textContent = short;
  at("where-long").textContent = long;
  at("where-details").textContent = details;
  at("camera-note").textContent = camera;
}

function onDevice() {
  return [
    "Stays on this device",
    "Your pictures never leave this device, and none is kept.",
    "Your browser works on a picture itself: it goes to no server, not even to the one that this page comes from.",
    "This browser looks at one picture after the other and follows the faces. None leaves this device, and none is kept.",
  ];
}

function onServer(hostname, host) {
  const camera = "About one picture a second goes to the server. None is kept.";
  return LOCAL.test(hostname)
    ? [
        "Stays on this machine",
        "Your pictures never leave this machine, and none is kept.",
        "The service runs on this machine. A picture that you add goes to it and no further.",
        camera,
      ]
    : [
        `Goes to ${host} only`,
        `Your pictures go to ${host}, and nowhere else. None is kept.`,
        `A picture that you add goes to ${host}, the server that this page comes from, and no further.`,
        camera,
      ];
}
