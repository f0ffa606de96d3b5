/** A forest as other runtimes want it: as lists for ONNX-ML, or as three dense layers for those that know no trees. */

import type { Op } from "./oasm.ts";

type ForestOp = Extract<Op, { op: "treeEnsemble" }>;

interface Node {
  readonly feature: number; // 255 = a leaf
  readonly left: number;
  readonly right: number;
  /** The threshold, or a leaf's value. */
  readonly value: number;
}

export const LEAF = 255;

function readNodes({ nodes }: ForestOp): Node[] {
  const data = nodes.data as Uint8Array;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Array.from({ length: nodes.rows }, (_, i) => {
    const at = i * nodes.cols;
    return {
      feature: view.getUint8(at),
      left: view.getUint16(at + 2, true),
      right: view.getUint16(at + 4, true),
      value: view.getFloat32(at + 8, true),
    };
  });
}

/** Every tree's nodes in order of visit, numbered within the tree. */
export function forestTrees(op: ForestOp): { readonly id: number; readonly node: Node }[][] {
  const nodes = readNodes(op);
  return Array.from(op.roots.data, (root) => {
    const tree: { id: number; node: Node }[] = [];
    const visit = (id: number): void => {
      const node = nodes[id] as Node;
      tree.push({ id, node });
      if (node.feature === LEAF) return;
      visit(node.left);
      visit(node.right);
    };
    visit(root);
    return tree;
  });
}

/**
 * The forest without a tree in it (after Nakandala et al., "A Tensor Compiler for Unified Machine Learning Prediction
 * Serving", OSDI 2020, the GEMM strategy). With t = 1 where feature[i] < threshold[i], else 0, a leaf is reached exactly
 * when paths . t + offset is 1, and is 0 or less otherwise; the answer is the sum of the values of the leaves reached.
 */
export interface DenseForest {
  /** Per inner node. */
  readonly feature: Int32Array;
  readonly threshold: Float32Array;
  /** [leaves, inner nodes]: 1 where the path goes left, -1 where it goes right. */
  readonly paths: Int8Array;
  /** Per leaf: 1 less the number of left turns. */
  readonly offset: Float32Array;
  readonly values: Float32Array;
}

/** O(leaves x inner nodes) of memory: meant for forests of a few thousand nodes. */
export function denseForest(op: ForestOp): DenseForest {
  const nodes = readNodes(op);
  const inner: Node[] = [];
  const leaves: { readonly turns: readonly (readonly [number, 1 | -1])[]; readonly value: number }[] = [];
  const visit = (id: number, turns: readonly (readonly [number, 1 | -1])[]): void => {
    const node = nodes[id] as Node;
    if (node.feature === LEAF) {
      leaves.push({ turns, value: node.value });
      return;
    }
    const place = inner.push(node) - 1;
    visit(node.left, [...turns, [place, 1]]);
    visit(node.right, [...turns, [place, -1]]);
  };
  for (const root of op.roots.data) visit(root, []);
  const paths = new Int8Array(leaves.length * inner.length);
  leaves.forEach(({ turns }, leaf) => {
    for (const [place, side] of turns) paths[leaf * inner.length + place] = side;
  });
  return {
    feature: Int32Array.from(inner, ({ feature }) => feature),
    threshold: Float32Array.from(inner, ({ value }) => value),
    paths,
    offset: Float32Array.from(leaves, ({ turns }) => 1 - turns.filter(([, side]) => side === 1).length),
    values: Float32Array.from(leaves, ({ value }) => value),
  };
}
