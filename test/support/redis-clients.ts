// Who is connected to a Redis: what CLIENT LIST says of everybody but the asker, and servers among themselves.
import { redisCommand } from "./redis-server.ts";

export interface RedisClient {
  readonly id: string;
  readonly ageSeconds: number;
  /** What it asked last. */
  readonly command: string;
}

export async function clientsOf(port: number): Promise<RedisClient[]> {
  const lines = (await redisCommand(port, ["CLIENT", "LIST", "TYPE", "normal"])).split("\n");
  return (
    lines
      .map((line) => new Map(line.split(" ").map((field) => field.split("=") as [string, string])))
      // Sentinels give themselves names.
      .filter((fields) => fields.get("name") === "" && fields.get("cmd") !== "client|list")
      .map((fields) => ({
        id: fields.get("id") ?? "",
        ageSeconds: Number(fields.get("age")),
        command: fields.get("cmd") ?? "",
      }))
  );
}
