// How this folder says no: a rule's name and the RFC section that it stands in. A value, never thrown.

export interface MlsRefusal {
  readonly kind: "refused";
  /** SCREAMING_SNAKE; goes into `details.rule`. */
  readonly rule: string;
  /** Of RFC 9420, as "12.4.2"; goes into `details.section`. */
  readonly section: string;
  readonly message: string;
}

export function refused(rule: string, section: string, message: string): MlsRefusal {
  return { kind: "refused", rule, section, message };
}
