import { json } from "@codemirror/lang-json";
import { markdown } from "@codemirror/lang-markdown";
import { python } from "@codemirror/lang-python";
import { PostgreSQL, sql } from "@codemirror/lang-sql";
import { yaml } from "@codemirror/lang-yaml";
import { StreamLanguage, indentUnit } from "@codemirror/language";
import { shell } from "@codemirror/legacy-modes/mode/shell";

const languages = {
  python, yaml, markdown, json,
  sql: () => sql({ dialect: PostgreSQL, upperCaseKeywords: true }), // the dialect that DuckDB's comes from
  shell: () => StreamLanguage.define(shell),
};

export function language(name) {
  const support = Object.hasOwn(languages, name) ? languages[name]() : [];
  return [support, indentUnit.of(name === "python" ? "    " : "  ")];
}

// Words that the server offers, such as column names; they are offered inside strings too.
export function serverWords(entries) {
  const options = entries.map(({ label, type, detail }) => ({ label: String(label), type, detail, boost: 1 }));
  return (context) => {
    const word = context.matchBefore(/[\p{L}\p{N}_]+/u);
    if (!options.length || (!word && !context.explicit)) return null;
    return { from: word ? word.from : context.pos, options, validFor: /^[\p{L}\p{N}_]*$/u };
  };
}
