// What the store's child process and the tests that start it agree on.
export const CHILD_SHARDS = 4;
export const CHILD_ACTOR = "app/group/1";
