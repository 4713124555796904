/** @vladmandic/human on the WASM backend, with blazeface and faceres alone, as its demo of age and gender does. */

import { Human } from "/human/@vladmandic/human/dist/human.esm.js";

const off = { enabled: false };

export async function start() {
  const human = new Human({
    backend: "wasm",
    wasmPath: "/human/@tensorflow/tfjs-backend-wasm/dist/",
    modelBasePath: "/human/@vladmandic/human/models/",
    cacheSensitivity: 0, // photos, not a video: nothing is carried over from the one before
    warmup: "none",
    debug: false,
    filter: off,
    gesture: off,
    body: off,
    hand: off,
    object: off,
    segmentation: off,
    face: {
      enabled: true,
      detector: { enabled: true, maxDetected: 50 }, // 1 by default
      description: { enabled: true, minConfidence: 0 }, // so that it names a gender for every face
      mesh: off,
      iris: off,
      emotion: off,
      antispoof: off,
      liveness: off,
    },
  });
  await human.load();
  return async (blob) => {
    const bitmap = await createImageBitmap(blob);
    const { face, error } = await human.detect(bitmap);
    bitmap.close();
    if (error) throw new Error(error);
    return face.map(({ box: [left, top, wide, high], age, gender }) => ({
      box: [left, top, left + wide, top + high],
      age: age ?? 0,
      gender,
    }));
  };
}
