// Diagnostics: a red line, a sign in the gutter, and the message under the line; all move with the text.
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, WidgetType } from "@codemirror/view";

const setMarks = StateEffect.define();

class Message extends WidgetType {
  constructor(text, severity) {
    super();
    this.text = text;
    this.severity = severity;
  }

  eq(other) {
    return other.text === this.text && other.severity === this.severity;
  }

  toDOM() {
    const element = document.createElement("div");
    element.className = `sb-message sb-message-${this.severity}`;
    element.textContent = this.text; // never markup: it quotes user code
    return element;
  }
}

const marksField = StateField.define({
  create: () => Decoration.none,
  update(marks, transaction) {
    let next = marks.map(transaction.changes);
    for (const effect of transaction.effects) if (effect.is(setMarks)) next = effect.value;
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

export const marks = [marksField, lintGutter()];

export function showDiagnostics(view, entries) {
  const { doc } = view.state;
  const seen = new Set();
  const ranges = [];
  const diagnostics = entries.map(({ line, message, severity }) => {
    const target = doc.line(Math.min(Math.max(1, Math.trunc(line) || 1), doc.lines));
    const level = ["error", "warning", "info"].includes(severity) ? severity : "error";
    if (!seen.has(target.number)) {
      seen.add(target.number);
      ranges.push(Decoration.line({ class: `sb-line-${level}` }).range(target.from));
      const firstLine = String(message).split("\n", 1)[0];
      ranges.push(Decoration.widget({ widget: new Message(firstLine, level), side: 1, block: true }).range(target.to));
    }
    const indent = target.text.length - target.text.trimStart().length;
    return { from: Math.min(target.from + indent, target.to), to: target.to, severity: level, message: String(message) };
  });
  const update = setDiagnostics(view.state, diagnostics);
  view.dispatch({ ...update, effects: [].concat(update.effects ?? [], setMarks.of(Decoration.set(ranges, true))) });
}
