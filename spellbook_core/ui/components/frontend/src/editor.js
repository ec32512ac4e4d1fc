// CodeMirror 6 as a Streamlit component. Streamlit calls the default export again whenever data or theme change, with
// the same parentElement; one editor lives per parentElement until the clean-up function runs.
import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, foldGutter, foldKeymap, indentOnInput } from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { diff } from "@codemirror/merge";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, Prec, Transaction } from "@codemirror/state";
import {
  EditorView, drawSelection, dropCursor, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap,
  lineNumbers, placeholder, rectangularSelection, tooltips,
} from "@codemirror/view";
import { language, serverWords } from "./languages.js";
import { watchLeaving } from "./leaving.js";
import { marks, showDiagnostics } from "./marks.js";
import { Outbox } from "./outbox.js";
import { applyPalette, isDarkPage, theme } from "./theme.js";

const editors = new WeakMap();

export default function (mounted) {
  const [data] = mounted.data; // in a list: see renderer() in assets.py
  const component = { ...mounted, data };
  const { parentElement } = component;
  let editor = editors.get(parentElement);
  if (!editor) {
    editor = new Editor(component);
    editors.set(parentElement, editor);
  }
  editor.update(component);
  return () => {
    editors.delete(parentElement);
    editor.destroy();
  };
}

class Editor {
  constructor({ parentElement, data, setTriggerValue }) {
    this.rev = data.rev;
    this.languageSlot = new Compartment();
    this.wordsSlot = new Compartment();
    this.modeSlot = new Compartment();
    this.darkSlot = new Compartment();
    this.shown = {};
    this.root = document.createElement("div");
    this.root.className = "sb-editor";
    parentElement.append(this.root);
    this.lineBreak = lineBreakOf(data.doc);
    this.view = new EditorView({
      parent: this.root,
      root: parentElement instanceof ShadowRoot ? parentElement : document,
      state: EditorState.create({ doc: data.doc, extensions: this.extensions() }),
    });
    this.outbox = new Outbox(data.id, data.doc, () => ({ text: this.text(), rev: this.rev }));
    this.outbox.setTriggerValue = setTriggerValue;
    this.root.addEventListener("keydown", (event) => {
      // Streamlit's own one-letter shortcuts look at the event's target, which a shadow root hides from them.
      if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
    });
    this.leaving = watchLeaving(this.root, () => this.outbox.flush());
    this.onHide = () => document.hidden && this.outbox.leave();
    this.onLeave = () => this.outbox.leave();
    document.addEventListener("visibilitychange", this.onHide);
    window.addEventListener("beforeunload", this.onLeave);
    window.addEventListener("pagehide", this.onLeave);
    const recovered = this.outbox.recover(data.doc);
    if (recovered !== null && !data.readonly) this.replace(recovered, { isExternal: false });
  }

  text() {
    const text = this.view.state.doc.toString();
    return this.lineBreak === "\n" ? text : text.replaceAll("\n", this.lineBreak);
  }

  extensions() {
    return [
      Prec.highest(keymap.of(this.ownKeys())),
      marks,
      lineNumbers(),
      foldGutter(),
      highlightSpecialChars(),
      history(),
      drawSelection(),
      dropCursor(),
      EditorState.allowMultipleSelections.of(true),
      indentOnInput(),
      bracketMatching(),
      closeBrackets(),
      autocompletion(),
      rectangularSelection(),
      highlightActiveLine(),
      highlightActiveLineGutter(),
      highlightSelectionMatches({ minSelectionLength: 2 }),
      search({ top: true }),
      tooltips({ position: "fixed" }),
      keymap.of([
        ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...completionKeymap,
        ...lintKeymap, { key: "Tab", run: acceptCompletion }, indentWithTab, // Escape, then Tab leaves the editor
      ]),
      this.languageSlot.of([]),
      this.wordsSlot.of([]),
      this.modeSlot.of([]),
      this.darkSlot.of([]),
      theme,
      EditorView.updateListener.of((update) => {
        if (update.docChanged && !update.transactions.some((one) => one.annotation(Transaction.remote))) this.outbox.touch();
      }),
    ];
  }

  ownKeys() {
    const act = (name) => (view, event) => {
      if (!event?.repeat) this.outbox.act(name);
      return true;
    };
    const options = { preventDefault: true, stopPropagation: true };
    return [
      { key: "Mod-Enter", run: act("run"), ...options },
      { key: "Shift-Enter", run: act("run_next"), ...options },
      { key: "Mod-s", run: act("save"), ...options },
    ];
  }

  update({ data, setTriggerValue }) {
    this.outbox.setTriggerValue = setTriggerValue;
    this.outbox.acknowledge(data.acknowledged?.[this.outbox.nonce] ?? 0);
    if (data.rev !== this.rev) {
      this.outbox.flush();
      this.rev = data.rev;
      this.lineBreak = lineBreakOf(data.doc);
      this.replace(data.doc, { isExternal: true });
      this.outbox.replaced(data.doc);
      this.shown.diagnostics = undefined;
    }
    const effects = [];
    if (this.isNew("lang", data.lang)) effects.push(this.languageSlot.reconfigure(language(data.lang)));
    if (this.isNew("completions", data.completions)) {
      const words = serverWords(data.completions);
      effects.push(this.wordsSlot.reconfigure(EditorState.languageData.of(() => [{ autocomplete: words }])));
    }
    if (this.isNew("mode", [data.readonly, data.placeholder, data.label])) {
      effects.push(this.modeSlot.reconfigure([
        EditorState.readOnly.of(data.readonly),
        placeholder(data.placeholder),
        EditorView.contentAttributes.of({ "aria-label": data.label, "aria-readonly": String(data.readonly) }),
        EditorView.editorAttributes.of({ class: data.readonly ? "sb-readonly" : "" }),
      ]));
    }
    const isDark = isDarkPage(this.root);
    if (this.isNew("dark", isDark)) {
      applyPalette(this.root, isDark);
      effects.push(this.darkSlot.reconfigure(EditorView.darkTheme.of(isDark)));
    }
    this.root.style.setProperty("--sb-min-height", `${data.minHeight}px`);
    this.root.style.setProperty("--sb-max-height", `${data.maxHeight}px`);
    if (effects.length) this.view.dispatch({ effects });
    if (this.isNew("diagnostics", data.diagnostics)) showDiagnostics(this.view, data.diagnostics);
  }

  isNew(name, value) {
    const text = JSON.stringify(value);
    if (this.shown[name] === text) return false;
    this.shown[name] = text;
    return true;
  }

  // Changes only what differs, so that cursor, selection and folds stay where they are.
  replace(text, { isExternal }) {
    const wanted = this.view.state.toText(text);
    const changes = diff(this.view.state.doc.toString(), wanted.toString(), { scanLimit: 500, timeout: 50 }).map(
      ({ fromA, toA, fromB, toB }) => ({ from: fromA, to: toA, insert: wanted.slice(fromB, toB) }),
    );
    if (!changes.length) return;
    this.view.dispatch({
      changes,
      annotations: isExternal ? [Transaction.addToHistory.of(false), Transaction.remote.of(true)] : [],
    });
  }

  destroy() {
    this.leaving.abort();
    document.removeEventListener("visibilitychange", this.onHide);
    window.removeEventListener("beforeunload", this.onLeave);
    window.removeEventListener("pagehide", this.onLeave);
    this.outbox.close();
    this.view.destroy();
    this.root.remove();
  }
}

// The editor counts a line break as one character whatever the file has; the file keeps its own.
function lineBreakOf(text) {
  return text.includes("\r\n") ? "\r\n" : "\n";
}
