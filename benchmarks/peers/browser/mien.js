/** mien in the browser, as its README uses it. */

export async function start({ model }) {
  const { load } = await import("/mien/index.js");
  const analyzer = await load({ model, assets: "/mien/", backend: "wasm" });
  return async (blob) => {
    const { faces } = await analyzer.analyze(blob);
    return faces.map(({ box, age, gender }) => ({
      box: [box.left, box.top, box.right, box.bottom],
      age: age.years,
      gender: gender.label,
    }));
  };
}
