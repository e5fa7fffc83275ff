// How many messages in a time, and what each cost this process.

export interface Rate {
  readonly messages: number;
  readonly perSecond: number;
  /** Of this process's processor time, for one message. */
  readonly micros: number;
}

/** @param work goes on while `isTime` says so and counts with `sent` */
export async function measured(
  forMs: number,
  work: (isTime: () => boolean, sent: (count: number) => void) => Promise<void>,
): Promise<Rate> {
  let messages = 0;
  const cpu = process.cpuUsage();
  const began = performance.now();
  await work(
    () => performance.now() - began < forMs,
    (count) => (messages += count),
  );
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { messages, perSecond: messages / seconds, micros: (user + system) / messages };
}
