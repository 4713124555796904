/** The answers as files, made here: the same records and columns as `mien predict --format json|csv`. */

import { h } from "./dom.js";

const POINTS = ["left_eye", "right_eye", "nose", "left_mouth", "right_mouth"];
const AGES = 117;
const WHOLE = new Set(["schema_version", "width", "height", "faces", "face", "turned"]); // columns of whole numbers

/** Columns of the CSV file, as `mien.sinks.rows.COLUMNS` has them. */
export const COLUMNS = [
  "schema_version",
  "source",
  "model",
  "width",
  "height",
  "faces",
  "face",
  "left",
  "top",
  "right",
  "bottom",
  "score",
  "age",
  "age_median",
  "age_low",
  "age_high",
  "age_level",
  "gender",
  "gender_probability",
  "eyes",
  "sharpness",
  "turn",
  "quality_flags",
  ...POINTS.flatMap((point) => [`${point}_x`, `${point}_y`]),
  "error_kind",
  "error_message",
  "scale",
  "turned",
  "incomplete",
];

/** One JSON array, a record on each line; with `pmf` faces keep their whole age distribution. */
export function toJSON(records, pmf = false) {
  const plain = pmf ? records : records.map(withoutPmf);
  return plain.length === 0 ? "[]\n" : `[\n${plain.map((record) => JSON.stringify(record)).join(",\n")}\n]\n`;
}

/**
 * A row for each face, one for a picture without any. With `safe` no cell begins like a formula of a spreadsheet, as
 * with `mien predict --safe-cells`: a picture's name may come from a stranger.
 */
export function toCSV(records, pmf = false, safe = false) {
  const names = pmf ? [...COLUMNS, ...Array.from({ length: AGES }, (_, age) => `age_pmf_${age}`)] : COLUMNS;
  const lines = [names, ...records.flatMap((record) => rows(record, names, safe))];
  return `${lines.map((cells) => cells.map(quoted).join(",")).join("\n")}\n`;
}

/** Hand a text to the user as a file. */
export function save(text, name, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000); // the download has begun by then
}

function withoutPmf(record) {
  const faces = record.faces.map(({ age: { pmf, ...age }, ...face }) => ({ ...face, age }));
  return { ...record, faces: faces.map((face, index) => inOrder(face, record.faces[index])) };
}

/** The members of a record in the order of another. */
function inOrder(record, other) {
  return Object.fromEntries(Object.keys(other).map((name) => [name, record[name]]));
}

function rows(record, names, safe) {
  const { error, faces } = record;
  const head = { ...record, faces: faces.length, error_kind: error?.kind, error_message: error?.message };
  const each = faces.length > 0 ? faces.map((face, index) => ({ ...head, face: index, ...flat(face) })) : [head];
  return each.map((row) => names.map((name) => cell(safe ? harmless(row[name]) : row[name], name)));
}

function flat({ box, score, landmarks, age, gender, quality }) {
  const points = (landmarks ?? []).flatMap(([x, y], index) => [
    [`${POINTS[index]}_x`, x],
    [`${POINTS[index]}_y`, y],
  ]);
  const masses = (age.pmf ?? []).map((mass, years) => [`age_pmf_${years}`, mass]);
  return {
    ...box,
    score,
    age: age.years,
    age_median: age.median,
    age_low: age.low,
    age_high: age.high,
    age_level: age.level,
    gender: gender.label,
    gender_probability: gender.probability,
    eyes: quality.eyes,
    sharpness: quality.sharpness,
    turn: quality.turn,
    quality_flags: quality.flags.join(" "),
    ...Object.fromEntries([...points, ...masses]),
  };
}

/** A text that no spreadsheet takes for a formula, as `mien.plain.formula_safe` makes it. */
function harmless(value) {
  return typeof value === "string" && /^ *[=+\-@\t\r\n|\uff1d\uff0b\uff0d\uff20]/.test(value) ? `'${value}` : value;
}

/** A number as Python writes it: 82.0, not 82, where it is one of many that need not be whole. */
function cell(value, name) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "True" : "False";
  return typeof value === "number" && Number.isInteger(value) && !WHOLE.has(name) ? value.toFixed(1) : String(value);
}

function quoted(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
