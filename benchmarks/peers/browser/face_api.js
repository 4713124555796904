/** @vladmandic/face-api as its README uses it, on the WASM backend. */

import * as faceapi from "/face-api/@vladmandic/face-api/dist/face-api.esm.js";

export async function start() {
  faceapi.tf.setWasmPaths("/face-api/@tensorflow/tfjs-backend-wasm/dist/");
  await faceapi.tf.setBackend("wasm");
  await faceapi.tf.ready();
  const models = "/face-api/@vladmandic/face-api/model";
  await Promise.all(
    ["ssdMobilenetv1", "faceLandmark68Net", "ageGenderNet"].map((net) => faceapi.nets[net].loadFromUri(models)),
  );
  const search = new faceapi.SsdMobilenetv1Options();
  return async (blob) => {
    const image = await picture(blob);
    const found = await faceapi.detectAllFaces(image, search).withFaceLandmarks().withAgeAndGender();
    return found.map(({ detection: { box }, age, gender }) => ({
      box: [box.left, box.top, box.right, box.bottom],
      age,
      gender,
    }));
  };
}

async function picture(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  await image.decode();
  URL.revokeObjectURL(image.src);
  return image;
}
