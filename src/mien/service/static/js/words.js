/** What the answers are called. No elements here, only text. */

const FLAGS = {
  small: "The face is small in the picture",
  blurred: "The face is blurred",
  turned: "The face is turned away",
  vague: "The face is one whose age cannot be told, or none at all",
};

const OUTCOMES = { pass: "Pass", fail: "Fail", unsure: "Unsure", error: "Error" };

/** A share in percent, never a certainty: 0.998 is "99 %". */
export function percent(share) {
  return `${Math.min(99, Math.max(1, Math.round(100 * share)))} %`;
}

/** "16 to 40". */
export function span(age) {
  return `${Math.round(age.low)} to ${Math.round(age.high)}`;
}

/** How often such ranges hold the true age: "9 times in 10", "95 times in 100". */
export function often(level) {
  const hundredths = Math.round(100 * level);
  return hundredths % 10 === 0 ? `${hundredths / 10} times in 10` : `${hundredths} times in 100`;
}

/** One sentence on an age range. */
export function rangeSentence(age) {
  const ends = `${Math.round(age.low)} and ${Math.round(age.high)}`;
  return `Between ${ends}. Such ranges hold the true age ${often(age.level)}.`;
}

/** A gender in a word, with its probability where it is named. */
export function gender(answer) {
  return answer.label === "uncertain" ? "gender uncertain" : `${answer.label}, ${percent(answer.probability)}`;
}

/** One line on a face, as it is read out. */
export function face(record) {
  return `about ${Math.round(record.age.years)} years, ${span(record.age)}; ${gender(record.gender)}`;
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
