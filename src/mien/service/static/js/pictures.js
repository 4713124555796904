/** Pictures as the browser can change them before they are sent: made smaller, turned. */

const QUALITY = 0.95; // of the JPEG files that are made here
const MOST_PIXELS = 16_000_000; // a larger picture is nowhere searched for faces in more pixels than these
const FEWEST_PIXELS = 2_000_000; // no picture is made smaller than that, lest faces in it be lost
const SAFE = 0.9; // of what a request may have, so that a picture made smaller does fit

/** Width and height of the upright picture, or null where this browser cannot show it. */
export async function sizeOf(file) {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = url;
    await new Promise((resolve, reject) => Object.assign(image, { onload: resolve, onerror: reject }));
    return { width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/**
 * The file itself where it is within the limits, or a smaller JPEG picture of the same.
 * @param {File} file
 * @param {{max_body: number, max_pixels?: number}} limits
 * @returns {Promise<{file: File, from: {width: number, height: number} | null, scale: number}>} with the size that it
 *   had, if it was made smaller, and how many times as large as the new one that is
 */
export async function fitted(file, { max_body: bytes, max_pixels: pixels = Infinity }) {
  const asIs = { file, from: null, scale: 1 };
  const size = await sizeOf(file);
  if (size === null || size.width * size.height === 0) return asIs;
  if (size.width * size.height <= pixels && file.size <= bytes) return asIs;
  let most = Math.min(MOST_PIXELS, pixels, size.width * size.height);
  try {
    for (; most >= FEWEST_PIXELS; most /= 2) {
      const share = Math.sqrt(most / (size.width * size.height));
      const [width, height] = [size.width, size.height].map((side) => Math.max(1, Math.floor(side * share)));
      const made = await drawn(file, { resizeWidth: width, resizeHeight: height, resizeQuality: "high" });
      if (made.size <= SAFE * bytes) return { file: made, from: size, scale: size.width / width };
    }
  } catch {
    // too large for this browser too: whoever is asked says what is wrong
  }
  return asIs;
}

/** The picture turned clockwise by 90, 180 or 270 degrees. */
export function turned(file, degrees) {
  return drawn(file, {}, degrees);
}

async function drawn(file, options, degrees = 0) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image", ...options });
  const [across, down] = degrees % 180 === 0 ? [bitmap.width, bitmap.height] : [bitmap.height, bitmap.width];
  const canvas = Object.assign(document.createElement("canvas"), { width: across, height: down });
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // JPEG knows no transparency
  context.fillRect(0, 0, across, down);
  context.translate(across / 2, down / 2);
  context.rotate((degrees * Math.PI) / 180);
  context.drawImage(bitmap, -bitmap.width / 2, -bitmap.height / 2);
  bitmap.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  canvas.width = 0; // some browsers keep its memory otherwise
  if (blob === null) throw new Error("no picture could be made");
  return new File([blob], file.name, { type: "image/jpeg" });
}

/** A record of a picture that was made smaller, in pixels of the picture that was given. */
export function enlarged(record, { from, scale }) {
  if (from === null) return record;
  const tenth = (value) => Math.round(10 * scale * value) / 10;
  const face = (one) => ({
    ...one,
    box: Object.fromEntries(Object.entries(one.box).map(([side, value]) => [side, tenth(value)])),
    landmarks: one.landmarks?.map((point) => point.map(tenth)) ?? null,
  });
  const faces = record.faces.map((one) => (one.face ? { ...one, face: face(one.face) } : face(one)));
  const whole = record.width ? from : {}; // checks have no size
  const share = typeof record.scale === "number" ? { scale: Math.round((1e4 * record.scale) / scale) / 1e4 } : {};
  return { ...record, ...whole, faces, ...share };
}
