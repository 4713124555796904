/** What the answers are called. No elements here, only text. */

const FLAGS = {
  small: "The face is small in the picture",
  blurred: "The face is blurred",
  turned: "The face is turned away",
  vague: "The face is one whose age cannot be told, or none at all",
};

const OUTCOMES = { pass: "Pass", fail: "Fail", unsure: "Unsure", error: "Error" };

const SUREST = 0.999; // the highest probability that is ever told
const SURE = 0.99; // from here on it is told with one more digit
const LICENCES = { "LicenseRef-mien-weights-research-only": "non-commercial research only" };

/** A share in percent, never a certainty: 0.998 is "99 %". */
export function percent(share) {
  return `${Math.min(99, Math.max(1, Math.round(100 * share)))} %`;
}

/** The probability of a gender as `Gender.percent` tells it: "61 %", "99.3 %". */
export function surely(probability) {
  if (probability < SURE) return `${Math.min(99, Math.floor(100 * probability + 0.5))} %`;
  return `${(Math.floor(1000 * Math.min(probability, SUREST) + 1e-9) / 10).toFixed(1)} %`;
}

/**
 * An age in whole years. Records round to a tenth, and rounding twice makes 33 of 32.46: so from the distribution, where
 * there is one.
 */
export function years(age) {
  return Math.floor(unrounded(age) + 0.5);
}

/** Both ends of its interval in whole years; an end that is no whole age is the estimate itself. */
export function ends(age) {
  return [age.low, age.high].map((end) => (Number.isInteger(end) ? end : end === age.years ? years(age) : Math.round(end)));
}

function unrounded(age) {
  if (!age.pmf?.length) return age.years;
  const whole = age.pmf.reduce((sum, mass) => sum + mass, 0);
  const mean = age.pmf.reduce((sum, mass, year) => sum + mass * year, 0) / whole;
  return Math.abs(mean - age.years) < 0.06 ? mean : age.years;
}

/** "16 to 40". */
export function span(age) {
  return ends(age).join(" to ");
}

/** How often such ranges hold the true age: "9 times in 10", "95 times in 100". */
export function often(level) {
  const hundredths = Math.round(100 * level);
  return hundredths % 10 === 0 ? `${hundredths / 10} times in 10` : `${hundredths} times in 100`;
}

/** One sentence on an age range, and with `often` a second one on how often such ranges are right. */
export function rangeSentence(age, withOften = true) {
  const between = `Between ${ends(age).join(" and ")}.`;
  return withOften ? `${between} Such ranges hold the true age ${often(age.level)}.` : between;
}

/** What holds for all faces of a group, so that it need not stand with each. */
export function groupSentence(faces) {
  const said = [
    `Ranges of ages hold the true age ${often(faces[0].age.level)}.`,
    "Genders are as such faces are labelled in the data.",
  ];
  if (faces.some(({ quality }) => quality.flags.length > 0)) said.push("Of a poor view, expect less.");
  return said.join(" ");
}

/** A gender in a word, with its probability where it is named. */
export function gender(answer) {
  return answer.label === "uncertain" ? "gender uncertain" : `${answer.label}, ${surely(answer.probability)}`;
}

/** One line on a face, as it is read out. */
export function face(record) {
  return `about ${years(record.age)} years, ${span(record.age)}; ${gender(record.gender)}`;
}

/** Why to expect less of a face, one sentence; empty for a good view. */
export function doubts(flags) {
  const known = flags.map((flag) => FLAGS[flag] ?? flag);
  if (known.length === 0) return "";
  const [first, ...rest] = known;
  const list = [first, ...rest.map((text) => text.replace("The face is ", ""))];
  const said = list.length > 1 ? `${list.slice(0, -1).join(", ")} and ${list.at(-1)}` : first;
  return `${said}: expect less of these answers.`;
}

/** The same in a word or two, for a line of a list: "small, blurred". */
export function flagged(flags) {
  return flags.map((flag) => (flag === "vague" ? "hardly a face" : flag)).join(", ");
}

/** A licence in words. */
export function licence(name) {
  return LICENCES[name] ?? name.replace("LicenseRef-", "");
}

/** What a model has learned from, without the files that its makers keep that in. */
export function learned(data) {
  return data.map((text) => text.replace(/ (of|in|from) [^,;()]*\.(csv|json|jsonl|mat|parquet|tsv|txt|yaml)\b/gi, "")).join("; ");
}

/** "Pass", "Fail" or "Unsure". */
export function outcome(name) {
  return OUTCOMES[name] ?? name;
}

/** A count with its noun: "1 face", "2 faces". */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** "3.4 MB". */
export function size(bytes) {
  if (bytes < 1024) return count(bytes, "byte");
  const power = bytes < 1024 ** 2 ? 1 : 2;
  const number = bytes / 1024 ** power;
  return `${number < 10 ? Math.round(10 * number) / 10 : Math.round(number)} ${["", "kB", "MB"][power]}`;
}

/** The first letter large. */
export function sentence(text) {
  const said = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(said) ? said : `${said}.`;
}
