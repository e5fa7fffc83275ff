// kill -9 between any two steps of each chain, on Redis (support/chain-deaths.ts).
import { defineChainDeaths } from "../support/chain-deaths.ts";

defineChainDeaths("redis");
