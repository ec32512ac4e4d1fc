// crypto.randomUUID exists on secure origins only; a server reached by another host name than localhost is not one.
export function makeNonce() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
