import { json } from "@codemirror/lang-json";
import { markdown } from "@codemirror/lang-markdown";
import { python } from "@codemirror/lang-python";
import { sql } from "@codemirror/lang-sql";
import { yaml } from "@codemirror/lang-yaml";
import { indentUnit } from "@codemirror/language";

const languages = { python, sql, yaml, markdown, json };

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
