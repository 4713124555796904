// @vladmandic/face-api on the WASM backend, as its README uses it: detectAllFaces().withFaceLandmarks().withAgeAndGender()
'use strict';

const { decode, face, file, option, start } = require('./protocol.cjs');
const tf = require('@tensorflow/tfjs');
const wasm = require('@tensorflow/tfjs-backend-wasm');
const faceapi = require(file('@vladmandic/face-api/dist/face-api.node-wasm.js'));

start(async ({ whole }) => {
  wasm.setWasmPaths(`${file('@tensorflow/tfjs-backend-wasm/dist')}/`);
  await tf.setBackend('wasm');
  await tf.ready();
  const tiny = option('--detector', 'ssd') === 'tiny';
  const detector = tiny ? 'tinyFaceDetector' : 'ssdMobilenetv1';
  const search = tiny ? new faceapi.TinyFaceDetectorOptions() : new faceapi.SsdMobilenetv1Options();
  const models = file('@vladmandic/face-api/model');
  for (const net of whole ? ['ageGenderNet'] : [detector, 'faceLandmark68Net', 'ageGenderNet']) {
    await faceapi.nets[net].loadFromDisk(models);
  }

  async function answer(photo) {
    const { data, width, height } = await decode(photo);
    const pixels = tf.tensor3d(data, [height, width, 3], 'int32');
    try {
      if (whole) {
        const found = await faceapi.nets.ageGenderNet.predictAgeAndGender(pixels);
        return [face([0, 0, width, height], found.age, found.gender, found.genderProbability)];
      }
      const found = await faceapi.detectAllFaces(pixels, search).withFaceLandmarks().withAgeAndGender();
      return found.map(({ detection, age, gender, genderProbability }) => {
        const { left, top, right, bottom } = detection.box;
        return face([left, top, right, bottom], age, gender, genderProbability);
      });
    } finally {
      pixels.dispose();
    }
  }

  const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
  return {
    answer,
    packages: ['@vladmandic/face-api', '@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm'],
    settings: `${detector} with its defaults; WASM, SIMD ${simd ? 'on' : 'off'}, ${wasm.getThreadsCount()} thread`,
  };
});
