// What a store tells its node beside answers: for logs, metrics and readiness.
export type StoreEvent =
  | { readonly kind: "up" }
  | { readonly kind: "down"; readonly reason: string }
  /** It can't keep its promises; nothing is sent to it until what the reason says is set. */
  | { readonly kind: "refused"; readonly reason: string }
  /** It came back empty, or as another store. */
  | { readonly kind: "historyLost" };
