/** Models on the device: the library's own kernels and the learners built on them. */

export * from "./core-kernels.ts";
export * from "./learners.ts";
