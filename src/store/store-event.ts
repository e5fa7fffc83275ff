// What a store tells its node beside answers: for logs, metrics and readiness.
export type StoreEvent =
  // Of a cluster each primary by itself: its host:port.
  | { readonly kind: "up"; readonly primary?: string }
  | { readonly kind: "down"; readonly reason: string; readonly primary?: string }
  /** It can't keep its promises; nothing is sent to it until what the reason says is set. */
  | { readonly kind: "refused"; readonly reason: string; readonly primary?: string }
  /** It came back empty, or as another store. */
  | { readonly kind: "historyLost" };
