// @vladmandic/human on the WASM backend, with the modules that its demo node-age-gender.js switches on.
'use strict';

const fs = require('node:fs');
const { fileURLToPath, pathToFileURL } = require('node:url');
const { decode, face, file, start } = require('./protocol.cjs');

// Its loader fetches models by URL, and Node's fetch knows no file: URLs. Models are in the package; nothing else is
// fetched, least of all from the network.
globalThis.fetch = async (request) => {
  const url = String(request.url ?? request);
  if (!url.startsWith('file://')) throw new Error(`no network here: ${url}`);
  return new Response(fs.readFileSync(fileURLToPath(url)));
};

const wasm = require('@tensorflow/tfjs-backend-wasm');
const { Human } = require(file('@vladmandic/human/dist/human.node-wasm.js'));

const off = { enabled: false };

start(async ({ whole }) => {
  if (whole) throw new Error('its API takes no picture that is one face already');
  const human = new Human({
    backend: 'wasm',
    wasmPath: `${file('@tensorflow/tfjs-backend-wasm/dist')}/`,
    modelBasePath: `${pathToFileURL(file('@vladmandic/human/models')).href}/`,
    cacheSensitivity: 0, // photos, not a video: nothing is carried over from the one before
    warmup: 'none',
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

  async function answer(photo) {
    const { data, width, height } = await decode(photo);
    const pixels = human.tf.tensor3d(data, [height, width, 3], 'int32');
    const result = await human.detect(pixels);
    human.tf.dispose(pixels);
    if (result.error) throw new Error(result.error);
    return result.face.map(({ box: [left, top, wide, high], age, gender, genderScore }) =>
      // it leaves an age of 0 out; its gender score is twice the distance of the probability from a half
      face([left, top, left + wide, top + high], age ?? 0, gender, 0.5 + (genderScore ?? 0) / 2));
  }

  const simd = await human.tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
  return {
    answer,
    packages: ['@vladmandic/human', '@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-wasm'],
    settings: `blazeface and faceres alone, up to 50 faces; WASM, SIMD ${simd ? 'on' : 'off'}, `
      + `${wasm.getThreadsCount()} thread`,
  };
});
