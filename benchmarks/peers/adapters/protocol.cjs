// What every adapter in Node does; protocol.py says what is read and printed.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const sharp = require('sharp');

sharp.concurrency(1); // one thread each, like everyone here
sharp.cache(false);

/** A package's file by its path: what Node is started with as NODE_PATH holds all packages. */
const file = (...parts) => path.join(process.env.NODE_PATH, ...parts);

/** What stands behind an option on the command line. */
function option(name, otherwise) {
  const place = process.argv.indexOf(name);
  return place < 0 ? otherwise : process.argv[place + 1];
}

/** A photo as {data: RGB bytes, width, height}, upright. */
async function decode(photo) {
  const upright = sharp(photo).rotate().toColourspace('srgb').removeAlpha();
  const { data, info } = await upright.raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

/** One face in the form that is printed. */
function face(box, age, gender, probability) {
  const round = (value, places) => Number(value.toFixed(places));
  return { box: box.map((edge) => round(edge, 1)), age: round(age, 2), gender, probability: round(probability, 4) };
}

async function attempt(answer, photo, rounds) {
  const seconds = [];
  const processor = [];
  let faces = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const work = process.cpuUsage();
      const start = performance.now();
      faces = await answer(photo);
      seconds.push((performance.now() - start) / 1e3);
      const { user, system } = process.cpuUsage(work);
      processor.push((user + system) / 1e6);
    }
  } catch (error) {
    return { file: photo, error: String(error) };
  }
  return { file: photo, faces, seconds, processor };
}

const version = (name) => JSON.parse(fs.readFileSync(file(name, 'package.json'), 'utf8')).version;
const say = (record) => process.stdout.write(`${JSON.stringify(record)}\n`);

/** The most memory that was ever resident, in bytes. */
function peak() {
  const line = fs.readFileSync('/proc/self/status', 'ascii').match(/VmHWM:\s+(\d+)/);
  return line ? 1024 * Number(line[1]) : 0;
}

/** Load the peer, answer all files on standard input, and say what that took. */
async function serve(load) {
  const photos = fs.readFileSync(0, 'utf8').split('\n').filter(Boolean);
  const { answer, packages, settings } = await load({ whole: process.argv.includes('--whole') });
  const versions = Object.fromEntries([...packages, 'sharp'].map((name) => [name, version(name)]));
  say({ ready: { versions: { node: process.versions.node, ...versions }, settings } });
  for (let number = 0; number < Number(option('--warm-up', 0)); number++) {
    await attempt(answer, photos[number % photos.length], 1);
  }
  for (const photo of photos) say(await attempt(answer, photo, Number(option('--rounds', 1))));
  say({ done: { peak_bytes: peak() } });
}

function start(load) {
  serve(load).catch((error) => {
    say({ unusable: String(error) });
    process.exitCode = 1;
  });
}

module.exports = { decode, face, file, option, start };
