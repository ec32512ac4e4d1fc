// The look follows Streamlit's theme through its --st-* variables; the colours of code are our own, one set per page
// brightness, each with a contrast of at least 4.5 on its background.
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const palettes = {
  light: {
    keyword: "#8c1d9e", string: "#1a7431", number: "#9a5a00", comment: "#667085", function: "#1d4ed8",
    type: "#0e7490", constant: "#b42318", operator: "#475467", property: "#344054", decorator: "#9a3412",
    error: "#dc2626", errorText: "#b42318", errorFill: "rgba(220, 38, 38, 0.10)",
    warning: "#d97706", warningText: "#92400e", warningFill: "rgba(217, 119, 6, 0.10)",
    info: "#2563eb", infoText: "#1d4ed8", infoFill: "rgba(37, 99, 235, 0.08)",
    active: "rgba(15, 23, 42, 0.035)", selection: "rgba(37, 99, 235, 0.20)", match: "rgba(217, 119, 6, 0.25)",
    gutter: "#8a94a6", popup: "#ffffff",
  },
  dark: {
    keyword: "#d8a6ff", string: "#8fd6a0", number: "#f2b872", comment: "#8b96a8", function: "#8db8ff",
    type: "#6fd3e0", constant: "#ff9d94", operator: "#b6c0cf", property: "#d5dbe5", decorator: "#f5a97a",
    error: "#f87171", errorText: "#fca5a5", errorFill: "rgba(248, 113, 113, 0.16)",
    warning: "#f59e0b", warningText: "#fcd34d", warningFill: "rgba(245, 158, 11, 0.14)",
    info: "#60a5fa", infoText: "#93c5fd", infoFill: "rgba(96, 165, 250, 0.13)",
    active: "rgba(255, 255, 255, 0.04)", selection: "rgba(96, 165, 250, 0.30)", match: "rgba(245, 158, 11, 0.30)",
    gutter: "#7c8798", popup: "#1c2330",
  },
};

const color = (name) => `var(--sb-${name})`;

export function applyPalette(element, isDark) {
  for (const [name, value] of Object.entries(palettes[isDark ? "dark" : "light"])) {
    element.style.setProperty(`--sb-${name}`, value);
  }
}

// Streamlit gives colours, not a name, to components: the page is dark when its background is.
export function isDarkPage(element) {
  const probe = document.createElement("span");
  probe.style.color = getComputedStyle(element).getPropertyValue("--st-background-color");
  element.append(probe);
  const [red = 255, green = 255, blue = 255] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? []).map(Number);
  probe.remove();
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128;
}

const highlight = HighlightStyle.define([
  { tag: [tags.keyword, tags.controlKeyword, tags.definitionKeyword, tags.moduleKeyword, tags.operatorKeyword], color: color("keyword") },
  { tag: [tags.string, tags.special(tags.string), tags.regexp, tags.character], color: color("string") },
  { tag: [tags.number, tags.integer, tags.float], color: color("number") },
  { tag: [tags.bool, tags.null, tags.atom, tags.self], color: color("constant") },
  { tag: [tags.comment, tags.lineComment, tags.blockComment, tags.docComment], color: color("comment"), fontStyle: "italic" },
  { tag: [tags.function(tags.variableName), tags.function(tags.definition(tags.variableName)), tags.function(tags.propertyName)], color: color("function") },
  { tag: [tags.className, tags.definition(tags.className), tags.typeName, tags.namespace], color: color("type") },
  { tag: [tags.operator, tags.punctuation, tags.bracket, tags.separator], color: color("operator") },
  { tag: [tags.propertyName, tags.attributeName], color: color("property") },
  { tag: tags.definition(tags.propertyName), color: color("function") },
  { tag: tags.meta, color: color("decorator") },
  { tag: tags.heading, color: color("function"), fontWeight: "600" },
  { tag: tags.strong, fontWeight: "600" },
  { tag: tags.emphasis, fontStyle: "italic" },
  { tag: [tags.link, tags.url], color: color("function"), textDecoration: "underline" },
  { tag: tags.monospace, color: color("string") },
  { tag: tags.invalid, color: color("errorText") },
]);

const field = {
  backgroundColor: "var(--st-background-color)",
  color: "var(--st-text-color)",
  border: "1px solid var(--st-border-color)",
  borderRadius: "6px",
  font: "inherit",
};

const look = EditorView.theme({
  "&": {
    color: "var(--st-text-color)",
    backgroundColor: "var(--st-secondary-background-color)",
    border: "1px solid var(--st-border-color)",
    borderRadius: "var(--st-base-radius)",
    fontSize: "var(--st-code-font-size, 0.875rem)",
    overflow: "hidden",
  },
  "&.cm-focused": { outline: "none", borderColor: "var(--st-primary-color)", boxShadow: "0 0 0 1px var(--st-primary-color)" },
  ".cm-scroller": {
    fontFamily: "var(--st-code-font, ui-monospace, monospace)",
    lineHeight: "1.55",
    minHeight: "var(--sb-min-height)",
    maxHeight: "var(--sb-max-height)",
    overflow: "auto",
  },
  ".cm-content": { padding: "8px 0", caretColor: "var(--st-primary-color)" },
  ".cm-line": { padding: "0 10px 0 8px" },
  ".cm-cursor, .cm-dropCursor": { borderLeftColor: "var(--st-primary-color)", borderLeftWidth: "2px" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: color("selection") },
  ".cm-gutters": {
    backgroundColor: "var(--st-secondary-background-color)",
    color: color("gutter"),
    border: "none",
    borderRight: "1px solid var(--st-border-color)",
  },
  ".cm-lineNumbers .cm-gutterElement": { padding: "0 8px 0 4px", minWidth: "2.2em" },
  ".cm-gutter-lint": { width: "0.9em" },
  ".cm-gutter-lint .cm-gutterElement": { padding: "0", display: "flex", alignItems: "center", justifyContent: "flex-end" },
  ".cm-lint-marker": { content: "normal", width: "8px", height: "8px", borderRadius: "50%" },
  ".cm-lint-marker.cm-lint-marker-error": { content: "normal", backgroundColor: color("error") },
  ".cm-lint-marker.cm-lint-marker-warning": { content: "normal", backgroundColor: color("warning"), borderRadius: "1px" },
  ".cm-lint-marker.cm-lint-marker-info": { content: "normal", backgroundColor: color("info") },
  ".cm-activeLine": { backgroundColor: color("active") },
  ".cm-activeLineGutter": { backgroundColor: color("active"), color: "var(--st-text-color)" },
  "&:not(.cm-focused) .cm-activeLine, &:not(.cm-focused) .cm-activeLineGutter": { backgroundColor: "transparent" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: color("match"), outline: "none" },
  "&.cm-focused .cm-nonmatchingBracket": { backgroundColor: color("errorFill") },
  ".cm-selectionMatch, .cm-searchMatch": { backgroundColor: color("match"), outline: "none" },
  ".cm-searchMatch-selected": { outline: `1px solid ${color("warning")}` },
  ".cm-placeholder": { color: color("comment") },
  ".sb-line-error": { backgroundColor: color("errorFill"), boxShadow: `inset 3px 0 0 ${color("error")}` },
  ".sb-line-warning": { backgroundColor: color("warningFill"), boxShadow: `inset 3px 0 0 ${color("warning")}` },
  ".sb-line-info": { backgroundColor: color("infoFill"), boxShadow: `inset 3px 0 0 ${color("info")}` },
  ".sb-message": {
    position: "sticky",
    left: "0",
    padding: "1px 12px 3px 11px",
    fontFamily: "var(--st-font)",
    fontSize: "0.95em",
    overflowWrap: "anywhere",
  },
  ".sb-message-error": { color: color("errorText"), backgroundColor: color("errorFill"), boxShadow: `inset 3px 0 0 ${color("error")}` },
  ".sb-message-warning": { color: color("warningText"), backgroundColor: color("warningFill"), boxShadow: `inset 3px 0 0 ${color("warning")}` },
  ".sb-message-info": { color: color("infoText"), backgroundColor: color("infoFill"), boxShadow: `inset 3px 0 0 ${color("info")}` },
  ".cm-lintRange-error, .cm-lintRange-warning, .cm-lintRange-info": { backgroundImage: "none" },
  ".cm-tooltip": {
    backgroundColor: color("popup"),
    color: "var(--st-text-color)",
    border: "1px solid var(--st-border-color)",
    borderRadius: "8px",
    boxShadow: "0 8px 24px rgba(0, 0, 0, 0.18)",
    overflow: "hidden",
    zIndex: "1000",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--st-code-font, ui-monospace, monospace)", maxHeight: "15em" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "3px 10px 3px 6px", lineHeight: "1.5" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: color("selection"), color: "var(--st-text-color)" },
  ".cm-completionDetail": { fontStyle: "normal", opacity: "0.75", marginLeft: "1em" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
  ".cm-completionIcon": { color: color("comment"), opacity: "1", paddingRight: "1.1em" },
  ".cm-diagnostic": { fontFamily: "var(--st-font)", padding: "6px 10px", whiteSpace: "pre-wrap", maxWidth: "60em" },
  ".cm-panels": { backgroundColor: "var(--st-background-color)", color: "var(--st-text-color)", fontFamily: "var(--st-font)" },
  ".cm-panels.cm-panels-top": { borderBottom: "1px solid var(--st-border-color)" },
  ".cm-panel.cm-search": { padding: "8px 30px 8px 10px", fontSize: "0.93em" },
  ".cm-panel.cm-search label": { fontSize: "inherit", marginRight: "0.6em" },
  ".cm-panel.cm-search [name=close]": { color: "var(--st-text-color)", fontSize: "1.3em", right: "8px", cursor: "pointer" },
  ".cm-textfield": { ...field, padding: "3px 8px" },
  ".cm-textfield:focus": { outline: "none", borderColor: "var(--st-primary-color)" },
  ".cm-button": { ...field, padding: "3px 10px", backgroundImage: "none", cursor: "pointer" },
  ".cm-button:hover": { borderColor: "var(--st-primary-color)", color: "var(--st-primary-color)" },
  ".cm-button:active": { backgroundImage: "none" },
  "&.sb-readonly .cm-content": { caretColor: "transparent" },
});

export const theme = [look, syntaxHighlighting(highlight)];
