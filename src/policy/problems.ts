// The table of problems: the code of each thing that can be wrong or questionable about policies, how bad it is, and its title.
// docs/reference/problems.md explains each; a test holds that page and this table together.
import type { PolicyIssue } from "./error.ts";

export type Severity = "error" | "warning";

interface Problem {
  readonly severity: Severity;
  /** One line, without a full stop. */
  readonly title: string;
  /** The file gave nothing to check: exit status 2 instead of 1. */
  readonly unreadable?: true;
}

const unreadable = (title: string): Problem => ({ severity: "error", title, unreadable: true });
const warning = (title: string): Problem => ({ severity: "warning", title });
const error = (title: string): Problem => ({ severity: "error", title });

/** Codes are never given anew to another problem: 01 the file and its text, 02 the shape of policies, 03 what does not go together, 05 what is questionable. */
export const problems = {
  PM0101: unreadable("The file cannot be opened"),
  PM0102: unreadable("It is not a file"),
  PM0103: unreadable("The kind of file is not known"),
  PM0104: unreadable("The text is too long"),
  PM0105: unreadable("It is not text"),
  PM0106: error("The text is neither JSON nor YAML"),
  PM0107: error("A key stands twice in one object"),
  PM0108: error("There are several YAML documents in one file"),
  PM0109: error("YAML aliases are used too often"),
  PM0110: error("A YAML tag is not known"),
  PM0111: error("The value is nested too deep, too large, or contains itself"),
  PM0112: error("There is no policy"),
  PM0121: unreadable("The module throws while it loads"),
  PM0122: unreadable("The module does not finish loading"),
  PM0123: unreadable("The module ends the process"),
  PM0124: unreadable("The module has a syntax error"),
  PM0125: unreadable("The module needs TypeScript that Node does not run"),
  PM0126: unreadable("The module imports something that is not there"),

  PM0201: error("The field is not known"),
  PM0202: error("Something is missing"),
  PM0203: error("The value is of the wrong type"),
  PM0204: error("The number or duration is out of bounds"),
  PM0205: error("The text is malformed"),
  PM0206: error("The value is none of those that the field takes"),
  PM0207: error("The list is empty or too long"),
  PM0208: error("The kind of layer is not known"),
  PM0209: error("The kind of layer is not in this version"),

  PM0301: error("Two layers of one policy have the same name"),
  PM0302: error("A layer stands twice that may stand once"),
  PM0303: error("maxOpenFor is shorter than openFor"),
  PM0304: error("backoff.max is shorter than backoff.base"),
  PM0305: error("Two policies have the same name"),
  PM0306: error("Layers share a name, but are not equal"),
  PM0307: error("A response without body has one"),
  PM0308: error("An adopted instance, or a function, is not there"),
  PM0309: error("An adopted breaker gives one call the response of another"),
  PM0310: error("A regular expression could run for too long"),
  PM0311: error("An endpoint stands twice in one list"),
  PM0312: error("A hedge has a budget beside that of a retry"),
  PM0313: error("The lowest limit of a bulkhead is above its limit"),
  PM0314: error("onStoreLoss stands in a limit that is not shared"),

  PM0501: warning("A timeout never falls due"),
  PM0502: warning("The retry or the hedge has no budget"),
  PM0503: warning("A POST may be done twice"),
  PM0504: warning("Later attempts have no time, or too little"),
  PM0505: warning("The breaker is outside the retry"),
  PM0506: warning("A limiter is inside the retry"),
  PM0507: warning("Retries are nested"),
  PM0508: warning("A match never fits"),
  PM0509: warning("Two policies match the same calls equally"),
  PM0510: warning("There is no timeout"),
  PM0511: warning("A layer is in shadow"),
  PM0512: warning("Calls fail on purpose"),
  PM0513: warning("The breaker can hardly open"),
  PM0514: warning("The retry never repeats"),
  PM0515: warning("The key is stamped inside the retry"),
  PM0516: warning("The retry is for none of the policy's methods"),
  PM0517: warning("There are two seams"),
  PM0518: warning("Nothing is behind the seam"),
  PM0519: warning("A layer is on the wrong side of the seam"),

  PM0530: warning("A layer cannot be run on calls that come in"),
  PM0531: warning("A field is about calls that come in, and there are none"),

  PM0540: warning("A shared limit has too small a burst to be leased"),
} as const satisfies Readonly<Record<string, Problem>>;

export type ProblemCode = keyof typeof problems;

/** An issue that was made here, so its code is one of the table. */
export interface CodedIssue extends PolicyIssue {
  readonly code: ProblemCode;
}

/** Of codes that come from elsewhere too: a policy module may bring another version of premesh. */
export const problemOf = (code: string): Problem => (Object.hasOwn(problems, code) ? problems[code as ProblemCode] : error("")); // the cast: hasOwn has just shown it
