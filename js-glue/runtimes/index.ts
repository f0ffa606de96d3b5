/** Models on the device: the library's own kernels, the learners built on them, and exports for other runtimes. */

export * from "./core-kernels.ts";
export type { RuntimeOutput } from "./host-input.ts";
export * from "./learners.ts";
export { exportOnnx, type OnnxForm } from "./onnx-export.ts";
export * from "./runtime.ts";
export * from "./runtime-model.ts";
export { exportTfjs, type TfjsModel, type TfjsModelJson, type WeightSpec } from "./tfjs-export.ts";
